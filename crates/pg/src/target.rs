//! Where the database is and how to get in: an address, the environment that libpq knows, and TLS.
//!
//! Not for: connecting (`pool`, `listener`). Nothing here prints a password.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::Host;

use crate::address::{self, Shown};
use crate::{Error, Result};

/// What libpq means by these words, but for `require` with a root certificate, which is `verify-ca` there too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    /// TLS where the server has it; nothing is verified.
    Prefer,
    /// TLS or nothing; the certificate is not verified.
    Require,
    /// The certificate has to come from an authority that we trust.
    VerifyCa,
    /// And it has to be the host's own.
    VerifyFull,
}

/// A database to connect to. `Debug` and `Display` show the redacted address.
#[derive(Clone)]
pub struct Target {
    config: tokio_postgres::Config,
    ssl_mode: SslMode,
    ssl_files: SslFiles,
    direct: Option<Box<Target>>,
}

#[derive(Clone, Default)]
pub(crate) struct SslFiles {
    /// `None` and `system` are the authorities that this machine trusts.
    pub root_cert: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

impl Target {
    /// Reads `postgresql://...` or `host=... dbname=...`; what is not said there comes from the environment
    /// (`PGHOST`, `PGUSER`, `PGPASSWORD`, `~/.pgpass`, ...), and then from the same defaults as in libpq.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_settings(address::parse(text)?, |name| env::var(name).ok())
    }

    /// From `DATABASE_URL`, or else from `PGHOST` and its kin; `None` when none of them is set.
    pub fn from_env() -> Result<Option<Self>> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        match set("DATABASE_URL") {
            Some(url) => Self::parse(&url).map(Some),
            None if ["PGHOST", "PGHOSTADDR", "PGDATABASE"].iter().any(|name| set(name).is_some()) => {
                Self::parse("").map(Some)
            }
            None => Ok(None),
        }
    }

    /// A server behind a Unix socket in `folder`.
    pub fn unix(folder: &Path, port: u16, user: &str, database: &str) -> Self {
        let mut config = tokio_postgres::Config::new();
        config.host_path(folder).port(port).user(user).dbname(database);
        Self::over(config, SslMode::Disable, SslFiles::default())
    }

    /// The address for LISTEN and other session state, where the main one goes through PgBouncer in
    /// transaction mode.
    pub fn with_direct(mut self, direct: Target) -> Self {
        self.direct = Some(Box::new(direct));
        self
    }

    /// The direct address, or this one.
    pub fn direct(&self) -> &Target {
        self.direct.as_deref().unwrap_or(self)
    }

    /// Settings of every session, asked for when it connects. A target with a direct address beside it goes through
    /// PgBouncer, which refuses such settings, and gets none.
    pub fn with_settings(mut self, settings: &[(&str, &str)]) -> Self {
        if self.direct.is_some() {
            return self;
        }
        let said = self.config.get_options().unwrap_or_default();
        let ours: String = settings.iter().map(|(name, value)| format!("-c {name}={value} ")).collect();
        // What the operator says comes last and wins.
        let options = format!("{ours}{said}");
        self.config.options(options.trim_end());
        self
    }

    /// The same server and user, another database. A direct address moves along.
    pub fn with_database(mut self, database: &str) -> Self {
        self.config.dbname(database);
        self.direct = self.direct.map(|direct| Box::new(direct.with_database(database)));
        self
    }

    /// The address without its password, for people.
    pub fn redacted(&self) -> String {
        address::write(&self.config, Shown::Redacted)
    }

    /// The address with its password, for a process that we start. Never to be printed.
    pub fn exposed(&self) -> String {
        address::write(&self.config, Shown::Exposed(self))
    }

    /// The address for the arguments of a program of PostgreSQL's, and the password for its `PGPASSWORD`: arguments
    /// can be read by everybody on the machine, the environment by its owner alone.
    pub fn for_program(&self) -> (String, Option<String>) {
        let password = self.config.get_password().map(|text| String::from_utf8_lossy(text).into_owned());
        (address::write(&self.config, Shown::Passwordless(self)), password)
    }

    pub fn database(&self) -> &str {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or("postgres")
    }

    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or("postgres")
    }

    /// The folder and port of the first host, where that is a Unix socket.
    pub fn socket(&self) -> Option<(&Path, u16)> {
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        match self.config.get_hosts().first()? {
            Host::Unix(folder) => Some((folder, port)),
            Host::Tcp(_) => None,
        }
    }

    pub fn ssl_mode(&self) -> SslMode {
        self.ssl_mode
    }

    pub(crate) fn ssl_files(&self) -> &SslFiles {
        &self.ssl_files
    }

    pub(crate) fn driver_config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    fn from_settings(
        mut settings: BTreeMap<String, String>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        for (key, variable) in ENVIRONMENT {
            if let Some(value) = env(variable).filter(|value| !value.is_empty()) {
                settings.entry((*key).to_owned()).or_insert(value);
            }
        }
        for ignored in IGNORED {
            settings.remove(*ignored);
        }
        // The names of PostgreSQL 14 for what the driver calls by its older names.
        if let Some(attrs) = settings.get_mut("target_session_attrs") {
            match attrs.as_str() {
                "primary" => *attrs = "read-write".into(),
                "standby" => *attrs = "read-only".into(),
                "prefer-standby" => *attrs = "any".into(),
                _ => {}
            }
        }
        let files = SslFiles {
            root_cert: settings.remove("sslrootcert").filter(|path| path != "system").map(PathBuf::from),
            cert: settings.remove("sslcert").map(PathBuf::from),
            key: settings.remove("sslkey").map(PathBuf::from),
        };
        let mode = ssl_mode(settings.remove("sslmode").as_deref(), &files)?;
        let direct = settings.remove("direct");
        if !settings.contains_key("host") && !settings.contains_key("hostaddr") {
            settings.insert("host".into(), default_host(settings.get("port").map_or("5432", String::as_str)));
        }
        if !settings.contains_key("user") {
            settings.insert("user".into(), env("USER").unwrap_or_else(|| "postgres".into()));
        }
        let user = settings["user"].clone();
        settings.entry("dbname".into()).or_insert(user);
        settings.entry("port".into()).or_insert_with(|| "5432".into());
        if !settings.contains_key("password") {
            let passfile = settings.get("passfile").map(PathBuf::from).or_else(|| {
                let home = env("HOME")?;
                Some(Path::new(&home).join(".pgpass"))
            });
            let password = passfile.and_then(|path| address::password_from(&path, &settings));
            settings.extend(password.map(|password| ("password".to_owned(), password)));
        }
        settings.remove("passfile");
        let config = address::pairs(&settings).parse::<tokio_postgres::Config>().map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            // The driver's messages name the option, never its value.
            Error::InvalidTarget { message: source.unwrap_or_else(|| error.to_string()) }
        })?;
        let target = Self::over(config, mode, files);
        match direct {
            Some(direct) => Ok(target.with_direct(Self::from_settings(address::parse(&direct)?, env)?)),
            None => Ok(target),
        }
    }

    fn over(mut config: tokio_postgres::Config, mode: SslMode, ssl_files: SslFiles) -> Self {
        let is_local = config.get_hostaddrs().is_empty()
            && config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let ssl_mode = if is_local { SslMode::Disable } else { mode };
        config.ssl_mode(match ssl_mode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                tokio_postgres::config::SslMode::Require
            }
        });
        if config.get_application_name().is_none() {
            config.application_name("posthaste");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        // The system's own two hours would let a query wait that long for a server that has gone.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(30));
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_idle(config.get_keepalives_idle().min(Duration::from_secs(30)));
            config.keepalives_interval(Duration::from_secs(10)).keepalives_retries(3);
        }
        Self { config, ssl_mode, ssl_files, direct: None }
    }
}

impl std::str::FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.redacted())
    }
}

const ENVIRONMENT: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("dbname", "PGDATABASE"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];

/// What libpq takes and what makes no difference here.
const IGNORED: &[&str] = &[
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    "gsslib",
    "krbsrvname",
    "sslcompression",
    "sslsni",
];

fn ssl_mode(word: Option<&str>, files: &SslFiles) -> Result<SslMode> {
    Ok(match word {
        Some("disable") => SslMode::Disable,
        None | Some("prefer" | "allow") => SslMode::Prefer,
        Some("require") if files.root_cert.is_some() => SslMode::VerifyCa,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        Some("verify-full") => SslMode::VerifyFull,
        Some(other) => {
            let known = "disable, prefer, require, verify-ca or verify-full";
            return Err(Error::InvalidTarget { message: format!("sslmode is `{other}`, expected {known}") });
        }
    })
}

/// The socket folders that packages use, then the loopback address.
fn default_host(port: &str) -> String {
    let folders = ["/run/postgresql", "/var/run/postgresql", "/tmp"];
    let found = folders.iter().find(|folder| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists());
    found.map_or_else(|| "localhost".to_owned(), |folder| (*folder).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str, env: &[(&str, &str)]) -> Result<Target> {
        Target::from_settings(address::parse(text)?, |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn check(text: &str, env: &[(&str, &str)], redacted: &str) {
        let target = target(text, env).expect(text);
        assert_eq!(target.redacted(), redacted, "{text}");
        let again =
            Target::from_settings(address::parse(&target.exposed()).expect(text), |_| None).expect(text);
        assert_eq!(again.config, target.config, "written out and read again: {text}");
        assert_eq!(again.ssl_mode, target.ssl_mode, "{text}");
    }

    #[test]
    fn both_forms_of_an_address_are_read() {
        let redacted = "postgresql://app@db.example:6432/orders";
        check("postgresql://app:s3cret@db.example:6432/orders", &[], redacted);
        check("host=db.example port=6432 user=app dbname=orders password='s3 \\'cret'", &[], redacted);
        check("postgres://app:p%40ss@db.example:6432/orders?sslmode=verify-full", &[], redacted);
        check("postgres://app:p@ss@db.example:6432/orders", &[], redacted);
        check("postgres://app@[::1]:5433/orders", &[], "postgresql://app@[::1]:5433/orders");
        check("postgres://app@a:1,b:2/o", &[], "postgresql://app@a:1,b:2/o");
        check(
            "postgres:///o?host=/run/pg&user=app&port=7",
            &[],
            "postgresql://app@/o?host=%2Frun%2Fpg&port=7",
        );
    }

    #[test]
    fn the_environment_fills_what_is_not_said() {
        let env = [("PGHOST", "db"), ("PGUSER", "app"), ("PGPASSWORD", "x"), ("PGSSLMODE", "require")];
        check("", &env, "postgresql://app@db:5432/app");
        check("dbname=o host=h", &env, "postgresql://app@h:5432/o");
        assert_eq!(target("", &env).unwrap().ssl_mode(), SslMode::Require);
        assert_eq!(target("", &env).unwrap().config.get_password(), Some(&b"x"[..]));
    }

    #[test]
    fn a_direct_address_is_kept_apart() {
        let text = "postgres://u:a@bouncer:6432/o?direct=postgres%3A%2F%2Fu%3Ab%40db%3A5432%2Fo";
        let target = target(text, &[]).unwrap();
        assert_eq!(target.direct().redacted(), "postgresql://u@db:5432/o");
        let other = target.with_database("p");
        assert_eq!(other.direct().redacted(), "postgresql://u@db:5432/p");
    }

    #[test]
    fn settings_of_sessions_come_before_those_of_the_operator_and_not_through_pgbouncer() {
        let ours = [("jit", "off"), ("enable_seqscan", "off")];
        let plain = target("host=h options='-c work_mem=8MB'", &[]).unwrap().with_settings(&ours);
        assert_eq!(plain.config.get_options(), Some("-c jit=off -c enable_seqscan=off -c work_mem=8MB"));
        let bouncer = "postgres://u@bouncer/o?direct=postgres%3A%2F%2Fu%40db%2Fo";
        assert_eq!(target(bouncer, &[]).unwrap().with_settings(&ours).config.get_options(), None);
    }

    #[test]
    fn no_error_and_no_debug_form_shows_the_password() {
        for text in [
            "postgres://u:hunter2@h:port/o",
            "postgres://u:hun/ter2@h/o",
            "postgres://u:hunter2@h/o?sslmode=perhaps",
            "postgres://u:hunter2@h/o?nonsense=1",
            "postgres://u:hunter2@h/o?connect_timeout=hunter",
            "host=h password=hunter2 what",
            "host=h password='hunter2",
            "mysql://u:hunter2@h/o",
            "postgres://u:hunter2%zz@h/o",
        ] {
            let shown = match target(text, &[]) {
                Ok(target) => format!("{target:?} {target}"),
                Err(error) => format!("{error} {error:?}") + &posthaste_base::Error::from(error).to_string(),
            };
            assert!(!shown.contains("ter2"), "{text}: {shown}");
        }
    }
}
