//! A server's double: it hears requests on a loopback port and gives the answers it was handed, in
//! order. When none is left it stops listening.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

pub(crate) struct Double {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// One request: `METHOD TARGET BODY`.
#[derive(Clone)]
pub(crate) struct Heard {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

pub(crate) struct Answer {
    status: u16,
    headers: String,
    body: String,
}

pub(crate) fn answer(status: u16, body: Value) -> Answer {
    Answer { status, headers: String::new(), body: body.to_string() }
}

pub(crate) fn text(status: u16, body: &str) -> Answer {
    Answer { status, headers: String::new(), body: body.to_owned() }
}

impl Answer {
    pub(crate) fn with(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
    }
}

impl Double {
    pub(crate) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<Answer> = answers.into_iter().collect();
        let log = Arc::clone(&heard);
        thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                log.lock().unwrap().push(hear(&stream));
                reply(stream, &answer);
            }
        });
        Self { address, heard }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Every request, one a line.
    pub(crate) fn lines(&self) -> String {
        self.heard().iter().map(Heard::to_string).collect::<Vec<_>>().join("\n")
    }
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(format!("{} {}", self.line, self.body).trim_end())
    }
}

fn hear(stream: &TcpStream) -> Heard {
    let mut reader = BufReader::new(stream);
    let mut read_line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let line = read_line().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    while let Some((name, value)) = read_line().split_once(": ") {
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut heard = Heard { line, headers, body: String::new() };
    let length = heard.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    heard.body = String::from_utf8(body).unwrap();
    heard
}

/// The command may have hung up, as on a TLS handshake: that is the command's matter.
fn reply(mut stream: TcpStream, Answer { status, headers, body }: &Answer) {
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} -\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    );
}
