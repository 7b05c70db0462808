//! TLS in every mode, against a server with a certificate of an authority that only the test knows.

use std::path::PathBuf;

use base64::Engine as _;
use posthaste_pg::local::{Account, Cluster, LocalOptions, Postmaster, Shutdown};
use posthaste_pg::{Error, Pool, PoolOptions, Target, transaction};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// An authority, and a certificate of it for `localhost` alone.
struct Certificates {
    authority: String,
    server: String,
    server_key: String,
}

fn certificates() -> Certificates {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_der = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(authority, authority_key);
    let server_key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let server_der = server.signed_by(&server_key, &issuer).expect("a certificate");
    Certificates {
        authority: pem("CERTIFICATE", authority_der.der()),
        server: pem("CERTIFICATE", server_der.der()),
        server_key: pem("PRIVATE KEY", server_key.serialized_der()),
    }
}

struct TlsServer {
    cluster: Cluster,
    postmaster: Postmaster,
    port: u16,
    folder: PathBuf,
    password: String,
}

impl TlsServer {
    /// Made without TLS, stopped, given its certificate, and started again with TLS only.
    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("posthaste-tls-{}", std::process::id()));
        let files = std::env::temp_dir().join(format!("posthaste-tls-{}-files", std::process::id()));
        std::fs::create_dir_all(&files).expect("a folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let certificates = certificates();
        let account = Account::choose(None).expect("an account");
        for (name, text) in [
            ("authority.pem", &certificates.authority),
            ("server.pem", &certificates.server),
            ("server.key", &certificates.server_key),
        ] {
            let path = files.join(name);
            std::fs::write(&path, text).expect("a file");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            if account.is_other && name != "authority.pem" {
                std::os::unix::fs::chown(&path, Some(account.uid), Some(account.gid)).expect("to chown");
            }
            std::fs::set_permissions(&path, mode).expect("to chmod");
        }
        let mut options = LocalOptions::in_folder(&folder);
        options.is_durable = false;
        options.loopback_port = Some(port);
        let of = |name: &str| files.join(name).to_string_lossy().into_owned();
        options.settings = vec![
            ("ssl".into(), "on".into()),
            ("ssl_cert_file".into(), of("server.pem")),
            ("ssl_key_file".into(), of("server.key")),
        ];
        let cluster = Cluster::open(options).expect("a cluster");
        let postmaster = cluster.start().await.expect("a server");
        let password = std::fs::read_to_string(folder.join("password")).expect("a password");
        Self { cluster, postmaster, port, folder: files, password: password.trim().to_owned() }
    }

    async fn connect(&self, host: &str, rest: &str) -> Result<Pool, Error> {
        let text = format!(
            "postgresql://postgres:{}@{host}:{}/posthaste?hostaddr=127.0.0.1&{rest}",
            self.password, self.port
        );
        Pool::connect_with(Target::parse(&text)?, PoolOptions::of_size(1)).await
    }

    async fn check_encrypted(&self, host: &str, rest: &str, expected: bool) {
        let pool = self.connect(host, rest).await.unwrap_or_else(|error| panic!("{rest}: {error:?}"));
        let is_encrypted = transaction(&pool, |tx| async move {
            let statement = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
            Ok::<bool, Error>(tx.query_one(statement, &[]).await?.get(0))
        });
        assert_eq!(is_encrypted.await.expect("an answer"), expected, "{rest}");
    }

    async fn check_refused(&self, host: &str, rest: &str, reason: &str) {
        let error = self.connect(host, rest).await.expect_err(rest);
        let shown = format!("{error} {error:?}") + &format!("{:?}", posthaste_base::Error::from(error));
        assert!(shown.contains("Refused") && shown.contains(reason), "{rest}: {shown}");
        assert!(!shown.contains(&self.password), "{shown}");
    }
}

#[tokio::test]
async fn each_mode_checks_what_it_promises() {
    let mut server = TlsServer::start().await;
    let root = format!("sslrootcert={}", server.folder.join("authority.pem").display());
    server.check_encrypted("localhost", "sslmode=disable", false).await;
    server.check_encrypted("localhost", "sslmode=prefer", true).await;
    server.check_encrypted("other.example", "sslmode=require", true).await;
    server.check_encrypted("other.example", &format!("sslmode=verify-ca&{root}"), true).await;
    server.check_encrypted("localhost", &format!("sslmode=verify-full&{root}"), true).await;
    let full = format!("sslmode=verify-full&{root}");
    server.check_refused("other.example", &full, "not valid for").await;
    server.check_refused("localhost", "sslmode=verify-ca", "UnknownIssuer").await;
    server.check_refused("localhost", "sslmode=verify-full", "UnknownIssuer").await;
    let wrong = server.connect("localhost", "sslmode=verify-full&sslrootcert=/nowhere").await;
    assert!(matches!(wrong, Err(Error::InvalidTarget { .. })), "{wrong:?}");

    let password = std::mem::replace(&mut server.password, "wrong-password".into());
    server.check_refused("localhost", "sslmode=require", "password authentication failed").await;
    server.password = password;
    server.postmaster.stop(Shutdown::Fast).await.expect("to stop");
    std::fs::remove_dir_all(&server.folder).expect("to clean up");
    server.cluster.remove().await.expect("to remove");
}
