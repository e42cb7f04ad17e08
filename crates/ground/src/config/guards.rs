//! What guards start with.

use super::sources::Values;
use super::{parse, within};

/// Whether each of the built-in guards enforces, as its variable says.
#[derive(Debug, Clone, Copy)]
pub struct GuardSettings {
    /// `rbac`.
    pub rbac: bool,
    /// What `rbac` would refuse for want of a role passes.
    pub rbac_fails_open: bool,
    /// `ssh-sign`.
    pub ssh_sign: bool,
    /// `service-auth`.
    pub service_auth: bool,
    /// For how many of a hundred callers `service-auth` does.
    pub service_auth_percent: u8,
}

pub(super) fn guards(values: &mut Values) -> GuardSettings {
    let mut flag = |name| values.get(name, "`true` or `false`", parse::<bool>).unwrap_or(true);
    let (rbac, rbac_fails_open) = (flag("RBAC_ENFORCE"), flag("RBAC_FAIL_OPEN"));
    let ssh_sign = flag("SSH_SIGN_ENFORCE");
    let service_auth = flag("SERVICE_AUTH_ENFORCEMENT_MODE");
    let name = "SERVICE_AUTH_CIRCUIT_BREAKER_PERCENTAGE";
    let percent = values.get(name, "a number from 0 to 100", within(0, 100));
    let service_auth_percent = percent.and_then(|percent| percent.try_into().ok()).unwrap_or(100);
    GuardSettings { rbac, rbac_fails_open, ssh_sign, service_auth, service_auth_percent }
}
