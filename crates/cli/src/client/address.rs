//! Where requests go. What a person typed never changes the path beyond its own segment.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use url::Host;

/// The address of a server; it may have a path, behind which the server's own paths begin.
#[derive(Clone, Debug)]
pub(crate) struct Server(Url);

/// Where `countersign serve` listens when nobody says otherwise.
impl Default for Server {
    #[expect(clippy::expect_used, reason = "a constant")]
    fn default() -> Self {
        Self(Url::parse("http://127.0.0.1:3000").expect("an address"))
    }
}

/// Written alike. Two names of one machine count as two: only the address that a token was given for is
/// known to be the one meant.
impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Server {
    #[expect(clippy::expect_used, reason = "parsing took only http and https, which have a path")]
    pub(super) fn join(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("the address has a path").pop_if_empty().extend(path);
        url
    }

    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Whether others on the way can read what is sent.
    pub(crate) fn is_overheard(&self) -> bool {
        self.is_plain() && !self.is_loopback()
    }

    pub(super) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("expected http://HOST or https://HOST".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("expected no `?` and no `#`".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("expected no user name or password; use --token-file".to_owned());
        }
        Ok(Self(url))
    }
}

/// An id that was typed and stands as one segment of a path.
#[derive(Clone)]
pub(crate) struct PathId(String);

impl PathId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathId {
    type Err = String;

    /// Percent-encoding keeps `/` and `?` within the segment, but an empty or a dot segment would
    /// name another path, and `Url` drops tabs and line ends before it looks for dots.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text, "" | "." | "..") || text.contains(char::is_control) {
            return Err(format!("`{}` is not an id", text.escape_debug()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Adds the parameters that have a value to the query.
pub(crate) fn ask_for(url: &mut Url, parameters: &[(&str, Option<String>)]) {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    url.query_pairs_mut().extend_pairs(given);
    if url.query() == Some("") {
        url.set_query(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(server: &str, id: &str) -> String {
        let server: Server = server.parse().unwrap();
        let id: PathId = id.parse().unwrap();
        server.join(&["api", "v1", "agents", id.as_str()]).to_string()
    }

    #[test]
    fn an_id_stays_within_its_segment() {
        let server = "http://127.0.0.1:3000";
        for (id, encoded) in [
            ("a1", "a1"),
            ("../x", "..%2Fx"),
            ("%2e%2e", "%252e%252e"),
            ("..\\x", "..%5Cx"),
            ("a?b#c", "a%3Fb%23c"),
            (" ..", "%20.."),
            ("…", "%E2%80%A6"),
        ] {
            assert_eq!(path(server, id), format!("{server}/api/v1/agents/{encoded}"));
        }
    }

    #[test]
    fn a_server_may_live_under_a_path() {
        assert_eq!(path("https://host/identity/", "a1"), "https://host/identity/api/v1/agents/a1");
        assert_eq!(path("https://host/identity", "a1"), "https://host/identity/api/v1/agents/a1");
    }
}
