//! What to do about a refusal: an error that leaves its reader stuck is half an error.

use reqwest::StatusCode;

use super::{Body, OAuth, Problem, Refusal};
use crate::output::plain;

impl Refusal {
    pub(crate) fn advice(&self) -> Option<String> {
        match (self.by_server(), self.also) {
            (Some(advice), Some(also)) => Some(format!("{advice}; {also}")),
            (advice, also) => advice.or_else(|| also.map(str::to_owned)),
        }
    }

    fn by_server(&self) -> Option<String> {
        match &self.body {
            Body::Problem(problem) => problem.advice(),
            Body::OAuth(error) => error.advice().map(str::to_owned),
            Body::Other(_) => None,
        }
        .or_else(|| self.wait())
        .or_else(|| self.by_status().map(str::to_owned))
    }

    /// The server's own word on when to come back.
    fn wait(&self) -> Option<String> {
        let after = plain(self.retry_after.as_ref()?);
        Some(match after.parse::<u64>() {
            Ok(seconds @ DAY..) if self.is_over_its_limit() => {
                format!("try again in {}, or {ANOTHER_PLAN}", spoken(seconds))
            }
            Ok(seconds) => format!("try again in {}", spoken(seconds)),
            Err(_) => format!("try again after {after}"),
        })
    }

    /// A limit that lasts for days is a month's quota: a plan's.
    fn is_over_its_limit(&self) -> bool {
        matches!(&self.body, Body::Problem(problem) if problem.code == "RATE_LIMIT_EXCEEDED")
    }

    fn by_status(&self) -> Option<&'static str> {
        Some(match self.status {
            StatusCode::UNAUTHORIZED => GET_A_TOKEN,
            StatusCode::FORBIDDEN => "ask an operator for the permission that this needs",
            StatusCode::NOT_FOUND => "check the id, and that --url names a Countersign server",
            StatusCode::CONFLICT => "look at its present state, then decide whether to try again",
            StatusCode::TOO_MANY_REQUESTS => "wait a moment, then try again",
            StatusCode::INTERNAL_SERVER_ERROR => "the server's log tells more, by the request id",
            StatusCode::SERVICE_UNAVAILABLE => {
                "try again in a moment; `countersign health` tells when the server is ready"
            }
            _ if matches!(self.body, Body::Other(_)) => "does --url name a Countersign server?",
            _ => return None,
        })
    }
}

const DAY: u64 = 86_400;
const ANOTHER_PLAN: &str = "have an operator with the role infra change the plan: \
`countersign tenants update TENANT --plan unlimited`";

/// Never too early. A month's quota may last for weeks, which nobody reads in seconds.
fn spoken(seconds: u64) -> String {
    let (length, unit) = match seconds {
        0..=120 => (1, "second"),
        121..=7_200 => (60, "minute"),
        7_201..=172_800 => (3_600, "hour"),
        _ => (DAY, "day"),
    };
    match seconds.div_ceil(length) {
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}

const GET_A_TOKEN: &str = "the token may have expired or been revoked: get another, for example with \
`countersign token issue`, and run `countersign login`, set COUNTERSIGN_TOKEN or pass --token-file FILE";

impl Problem {
    fn advice(&self) -> Option<String> {
        if self.reason.as_deref() == Some("no-credentials") {
            return Some(
                "run `countersign login`, set COUNTERSIGN_TOKEN or pass --token-file FILE"
                    .to_owned(),
            );
        }
        self.by_code().map(str::to_owned).or_else(|| self.missing_permission())
    }

    fn by_code(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "FREE_TIER_LIMIT_EXCEEDED" => ANOTHER_PLAN,
            // Said by a server of ours, of a path that it does not have.
            "NOT_FOUND" => "check the id; or else the server is older than this command",
            "AGENT_NOT_FOUND" => "`countersign agents list` shows the agents there are",
            "CREDENTIAL_NOT_FOUND" => {
                "`countersign credentials list AGENT` shows the credentials there are"
            }
            "OPERATOR_NOT_FOUND" => "`countersign operators list` shows the operators there are",
            "TOKEN_NOT_FOUND" => {
                "`countersign operators tokens list OPERATOR` shows the tokens there are"
            }
            "TENANT_NOT_FOUND" => {
                "`countersign tenants list` shows the tenants there are, to the role infra"
            }
            "KEY_NOT_FOUND" => "`countersign keys list` shows the keys there are",
            "AUDIT_EVENT_NOT_FOUND" => "`countersign audit search` finds events",
            "AGENT_ALREADY_EXISTS" => "use the agent that has this email, or another email",
            "AGENT_NOT_ACTIVE" => "`countersign agents reactivate AGENT` ends a suspension",
            "AGENT_ALREADY_DECOMMISSIONED" => "decommissioning is final: register another agent",
            "CREDENTIAL_ALREADY_REVOKED" => "`countersign credentials create AGENT` makes another",
            _ => return None,
        })
    }

    fn missing_permission(&self) -> Option<String> {
        let (resource, action) = (self.resource.as_ref()?, self.action.as_ref()?);
        matches!(self.code.as_str(), "FORBIDDEN" | "INSUFFICIENT_SCOPE").then(|| {
            format!(
                "this needs the permission `{}:{}`; an operator who holds it can grant it",
                plain(resource),
                plain(action)
            )
        })
    }
}

impl OAuth {
    /// RFC 6749 section 5.2 and RFC 8707 section 2 name the errors.
    fn advice(&self) -> Option<&'static str> {
        Some(match self.error.as_str() {
            "invalid_client" => {
                "check --client-id and the client secret; `introspect` and `revoke` take a token \
                 instead: set COUNTERSIGN_TOKEN or pass --token-file FILE"
            }
            "unauthorized_client" => {
                "is the agent suspended or decommissioned? `countersign agents show AGENT` tells"
            }
            "invalid_scope" => "`countersign agents show AGENT` lists the scopes it may ask for",
            "invalid_target" => "`countersign agents show AGENT` lists its allowed resources",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_spoken_of_in_the_unit_one_would_use() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (120, "120 seconds"),
            (121, "3 minutes"),
            (7_200, "120 minutes"),
            (7_201, "3 hours"),
            (172_801, "3 days"),
        ] {
            assert_eq!(spoken(seconds), text);
        }
    }
}
