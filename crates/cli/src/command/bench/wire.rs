//! Bare HTTP/1.1 over a kept connection: the load of the benchmarks, at the least cost.
//!
//! It understands what Posthaste and the receiver of these benchmarks answer, which is always a length and a body.
//! Not for: calling strangers, which is the deliver crate's.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) struct Wire {
    stream: TcpStream,
    host: SocketAddr,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// Where things stand in an answer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    head_bytes: usize,
    body_bytes: usize,
}

impl Wire {
    pub(super) async fn connect(host: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, request: Vec::new(), answer: Vec::new() })
    }

    /// Sends JSON and waits for the whole answer; gives its status.
    pub(super) async fn post(&mut self, path: &str, body: &[u8]) -> Result<u16> {
        self.call("POST", path, body).await.map(|head| head.status)
    }

    /// Gives the body of a good answer.
    pub(super) async fn get(&mut self, path: &str) -> Result<&[u8]> {
        let head = self.call("GET", path, b"").await?;
        match head.status {
            200 => Ok(&self.answer[head.head_bytes..head.head_bytes + head.body_bytes]),
            status => Err(Error::other(format!("GET {path} was answered with {status}"))),
        }
    }

    async fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Head> {
        use std::io::Write as _;
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        )?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match Head::parse(&self.answer)? {
                Some(head) if self.answer.len() >= head.head_bytes + head.body_bytes => return Ok(head),
                _ if self.answer.len() > ANSWER_BYTES_MAX => return Err(ErrorKind::FileTooLarge.into()),
                _ => {}
            }
        }
    }
}

impl Head {
    /// None until the head is complete.
    fn parse(answer: &[u8]) -> Result<Option<Self>> {
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let wrong = || Error::new(ErrorKind::InvalidData, "an answer without a status or a length");
        let text = std::str::from_utf8(&answer[..end]).map_err(|_| wrong())?;
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(wrong)?;
        let length = text.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        Ok(Some(Self { status, head_bytes: end + 4, body_bytes: length.ok_or_else(wrong)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nX: y\r\n\r\n{}";
        let head = Head { status: 202, head_bytes: answer.len() - 2, body_bytes: 2 };
        assert_eq!(Head::parse(answer).unwrap(), Some(head));
        assert_eq!(Head::parse(&answer[..30]).unwrap(), None);
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(Head::parse(b"nonsense\r\n\r\n").is_err());
    }
}
