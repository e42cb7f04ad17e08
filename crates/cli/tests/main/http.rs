//! A client that does one thing at a time and shows every byte that it was answered.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection, kept alive.
pub(crate) struct Connection(BufReader<TcpStream>);

pub(crate) struct Request {
    line: String,
    headers: String,
    body: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        self.send(request.text().as_bytes())?;
        self.hear()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Reads one whole answer; an error when it ends too early.
    pub(crate) fn hear(&mut self) -> io::Result<Answer> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let (mut headers, mut length) = (String::new(), 0);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
            headers.push_str(&format!("{}: {value}\n", name.to_ascii_lowercase()));
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Answer { status, headers, body })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Waits until the server hangs up; false when it does not within `limit`.
    pub(crate) fn is_closed_within(&mut self, limit: Duration) -> bool {
        self.0.get_ref().set_read_timeout(Some(limit)).unwrap();
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Goes away without a word.
    pub(crate) fn leave(self) {
        let _ = self.0.get_ref().shutdown(Shutdown::Both);
    }
}

impl Request {
    fn new(method: &str, path: &str) -> Self {
        let line = format!("{method} {path} HTTP/1.1\r\n");
        Self { line, headers: "Host: countersign\r\n".to_owned(), body: String::new() }
    }

    fn with_body(mut self, kind: &str, body: String) -> Self {
        self.body = body;
        self.header("Content-Type", kind)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn basic(self, id: &str, secret: &str) -> Self {
        self.header(
            "Authorization",
            &format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
        )
    }

    /// Names the request, so that its event can be found.
    pub(crate) fn id(self, id: &str) -> Self {
        self.header("X-Request-ID", id)
    }

    pub(crate) fn text(&self) -> String {
        let Self { line, headers, body } = self;
        format!("{line}{headers}Content-Length: {}\r\n\r\n{body}", body.len())
    }
}

pub(crate) fn get(path: &str) -> Request {
    Request::new("GET", path)
}

pub(crate) fn delete(path: &str) -> Request {
    Request::new("DELETE", path)
}

pub(crate) fn post(path: &str, body: &Value) -> Request {
    Request::new("POST", path).with_body("application/json", body.to_string())
}

pub(crate) fn patch(path: &str, body: &Value) -> Request {
    Request::new("PATCH", path).with_body("application/json", body.to_string())
}

pub(crate) fn form(path: &str, pairs: &[(&str, &str)]) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Request::new("POST", path).with_body("application/x-www-form-urlencoded", body)
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.json()
    }

    /// Refused in the words of Countersign's own endpoints.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        body
    }

    /// Refused in the words of RFC 6749.
    #[track_caller]
    pub(crate) fn oauth(&self, status: u16, error: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["error"], error, "{body}");
        body
    }

    /// Its body; null when that is empty or no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}
