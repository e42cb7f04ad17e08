//! Where agents' secrets are kept, if that is Vault or OpenBao.

use url::{Host, Url};

use super::sources::Values;
use crate::secret::Secret;

/// Vault or OpenBao, with a KV engine of version 2.
#[derive(Debug)]
pub struct VaultSettings {
    /// Where it is.
    pub address: VaultAddress,
    /// Whom it takes this server for.
    pub token: Secret,
    /// Where the engine is mounted, such as `secret`.
    pub mount: String,
    /// The namespace, where it has some.
    pub namespace: Option<String>,
}

/// An absolute URL, to which a path can be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultAddress(Url);

impl VaultAddress {
    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let plain = ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        plain.then_some(Self(url))
    }

    /// Without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether what goes there can be read on its way.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Whether it leads to this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}

const ADDRESS: &str = "an absolute `http` or `https` URL without user, query and fragment, \
    such as `https://vault.example:8200`";
const TOKEN: &str =
    "the token that this server uses Vault with: letters, digits and signs of ASCII";
const MOUNT: &str = "where a KV engine of version 2 is mounted, such as `secret`";
const NAMESPACE: &str = "the path of a namespace, such as `team/agents`";

/// All of it, or nothing.
pub(super) fn vault(values: &mut Values) -> Option<VaultSettings> {
    let address = values.optional("VAULT_ADDR", ADDRESS, VaultAddress::parse);
    let token = values.optional("VAULT_TOKEN", TOKEN, token);
    let mount = values.get("VAULT_MOUNT", MOUNT, path);
    let namespace = values.optional("VAULT_NAMESPACE", NAMESPACE, path);
    match (address, token) {
        (Some(address), Some(token)) => {
            Some(VaultSettings { address, token, mount: mount?, namespace })
        }
        (Some(_), None) => {
            values.fault(
                "VAULT_TOKEN",
                "must be given together with VAULT_ADDR, or VAULT_ADDR be unset: \
                 without both, secrets are kept in the database",
            );
            None
        }
        (None, Some(_)) => {
            values.fault(
                "VAULT_ADDR",
                "must be given together with VAULT_TOKEN, or VAULT_TOKEN be unset: \
                 without both, secrets are kept in the database",
            );
            None
        }
        (None, None) => None,
    }
}

fn token(text: &str) -> Option<Secret> {
    let fits = (1..=8192).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Secret::new(text.to_owned()))
}

/// Segments that mean the same to every server on the way.
fn path(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits =
        |part: &str| !part.is_empty() && part.chars().all(plain) && part.chars().any(|c| c != '.');
    text.split('/').all(fits).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Fault, Sources};

    fn load(environment: &[(&str, &str)]) -> Result<Config, Vec<Fault>> {
        let environment =
            environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Config::load(&Sources { environment, ..Sources::default() })
    }

    fn faults(environment: &[(&str, &str)]) -> Vec<String> {
        let faults = load(environment).unwrap_err();
        faults.into_iter().map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn vault_takes_an_address_and_a_token_and_has_a_mount() {
        let given = [("VAULT_ADDR", "https://vault.example:8200/"), ("VAULT_TOKEN", "hvs.hunter2")];
        let config = load(&given).unwrap();
        let vault = config.vault.unwrap();
        assert_eq!(vault.address.as_str(), "https://vault.example:8200");
        assert_eq!((&*vault.mount, vault.namespace), ("secret", None));
        assert_eq!(vault.token.reveal(), "hvs.hunter2");
        let shown = serde_json::to_string(&config.effective).unwrap();
        assert!(shown.contains("vault.example") && !shown.contains("hunter2"), "{shown}");
        assert!(load(&[]).unwrap().vault.is_none(), "a mount alone is none");
    }

    #[test]
    fn an_address_without_a_token_and_a_token_without_an_address_are_refused() {
        let address = faults(&[("VAULT_ADDR", "https://vault.example")]);
        assert!(address[0].starts_with("VAULT_TOKEN: must be given together"), "{address:?}");
        let token = faults(&[("VAULT_TOKEN", "hvs.hunter2")]);
        assert!(token[0].starts_with("VAULT_ADDR: must be given together"), "{token:?}");
        assert!(!token[0].contains("hunter2"));
    }

    #[test]
    fn what_can_not_be_an_address_a_mount_or_a_namespace_is_named() {
        for address in ["vault", "ftp://v", "https://u:p@v", "https://v?x", "https://v#x"] {
            let faults = faults(&[("VAULT_ADDR", address), ("VAULT_TOKEN", "t")]);
            assert!(faults[0].starts_with("VAULT_ADDR: must be an absolute"), "{faults:?}");
        }
        for name in ["VAULT_MOUNT", "VAULT_NAMESPACE"] {
            for path in ["/", "a//b", "..", "a/../b", "a b", "a%2fb", "/secret"] {
                let faults =
                    faults(&[("VAULT_ADDR", "http://v"), ("VAULT_TOKEN", "t"), (name, path)]);
                assert!(faults[0].starts_with(name), "{path}: {faults:?}");
            }
        }
    }

    #[test]
    fn plain_http_in_production_is_for_this_machine_alone() {
        let production = |address| {
            let faults = faults(&[
                ("COUNTERSIGN_ENV", "production"),
                ("VAULT_ADDR", address),
                ("VAULT_TOKEN", "t"),
            ]);
            faults.iter().any(|fault| fault.starts_with("VAULT_ADDR: "))
        };
        for address in ["http://vault.example", "http://10.0.0.1:8200", "http://localhost.example"]
        {
            assert!(production(address), "{address}");
            assert!(load(&[("VAULT_ADDR", address), ("VAULT_TOKEN", "t")]).is_ok(), "{address}");
        }
        for address in ["https://v", "http://127.0.0.1:8200", "http://[::1]", "http://localhost"] {
            assert!(!production(address), "{address}");
        }
    }
}
