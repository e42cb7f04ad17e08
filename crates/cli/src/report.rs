//! How a failure is told on standard error: what happened, then what to do next.

use std::fmt::Display;

use crate::profiles::ProfileError;
use crate::refusal::{Refusal, Unreachable};

pub(crate) fn told(error: &anyhow::Error) -> String {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return text(refusal, refusal.advice().as_deref());
    }
    if let Some(unreachable) = error.downcast_ref::<Unreachable>() {
        return text(unreachable, Some(unreachable.advice()));
    }
    if let Some(profile) = error.downcast_ref::<ProfileError>() {
        return text(profile, profile.advice().as_deref());
    }
    text(&format_args!("{error:#}"), None)
}

fn text(error: &dyn Display, advice: Option<&str>) -> String {
    match advice {
        Some(advice) => format!("error: {error}\nhint: {advice}"),
        None => format!("error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use reqwest::StatusCode;

    use super::*;

    fn refused(status: u16, body: &str) -> String {
        refused_until(status, None, body)
    }

    fn refused_until(status: u16, retry_after: Option<&str>, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        told(&Refusal::new(status, retry_after.map(str::to_owned), body.as_bytes()).into())
    }

    #[test]
    fn a_request_that_was_not_valid_names_each_field() {
        let body = r#"{"type":"urn:countersign:error:validation-error","title":"Bad Request",
            "status":400,"code":"VALIDATION_ERROR","detail":"the agent is not valid",
            "message":"the agent is not valid","request_id":"r1",
            "details":{"version":"expected a semantic version","capabilities":["expected one"]}}"#;
        assert_snapshot!(refused(400, body), @r#"
        error: the agent is not valid
          capabilities: ["expected one"]
          version: expected a semantic version
          code: VALIDATION_ERROR
          request id: r1
        "#);
    }

    #[test]
    fn a_caller_without_a_token_learns_how_to_give_one() {
        let body = r#"{"code":"UNAUTHORIZED","detail":"no credentials were given","request_id":"r1",
            "error":"unauthorized","reason":"no-credentials","resource":"agents","action":"read"}"#;
        assert_snapshot!(refused(401, body), @r"
        error: no credentials were given
          code: UNAUTHORIZED
          request id: r1
        hint: run `countersign login`, set COUNTERSIGN_TOKEN or pass --token-file FILE
        ");
    }

    #[test]
    fn a_refused_token_is_to_be_replaced() {
        let body = r#"{"code":"UNAUTHORIZED","detail":"the token has expired"}"#;
        assert_snapshot!(refused(401, body), @r"
        error: the token has expired
          code: UNAUTHORIZED
        hint: the token may have expired or been revoked: get another, for example with `countersign token issue`, and run `countersign login`, set COUNTERSIGN_TOKEN or pass --token-file FILE
        ");
    }

    #[test]
    fn a_missing_permission_is_named() {
        let body = r#"{"code":"FORBIDDEN","detail":"not permitted","request_id":"r1",
            "error":"forbidden","reason":"no-role","resource":"agents","action":"write"}"#;
        assert_snapshot!(refused(403, body), @r"
        error: not permitted
          code: FORBIDDEN
          request id: r1
        hint: this needs the permission `agents:write`; an operator who holds it can grant it
        ");
    }

    #[test]
    fn a_limit_of_the_plan_is_no_missing_permission() {
        let body = r#"{"code":"FREE_TIER_LIMIT_EXCEEDED","detail":"the plan `free` allows 100 agents",
            "details":{"limit":100}}"#;
        assert_snapshot!(refused(403, body), @r"
        error: the plan `free` allows 100 agents
          limit: 100
          code: FREE_TIER_LIMIT_EXCEEDED
        hint: have an operator with the role infra change the plan: `countersign tenants update TENANT --plan unlimited`
        ");
    }

    #[test]
    fn what_is_not_there_can_be_listed() {
        let body = r#"{"code":"AGENT_NOT_FOUND","detail":"no agent `a1`","request_id":"r1"}"#;
        assert_snapshot!(refused(404, body), @r"
        error: no agent `a1`
          code: AGENT_NOT_FOUND
          request id: r1
        hint: `countersign agents list` shows the agents there are
        ");
    }

    #[test]
    fn a_server_that_does_not_know_the_path_may_be_older() {
        let body = r#"{"code":"NOT_FOUND","detail":"nothing is at this path"}"#;
        assert_snapshot!(refused(404, body), @r"
        error: nothing is at this path
          code: NOT_FOUND
        hint: check the id; or else the server is older than this command
        ");
    }

    #[test]
    fn a_conflict_says_what_is_left_to_do() {
        let body =
            r#"{"code":"AGENT_ALREADY_DECOMMISSIONED","detail":"the agent is decommissioned"}"#;
        assert_snapshot!(refused(409, body), @r"
        error: the agent is decommissioned
          code: AGENT_ALREADY_DECOMMISSIONED
        hint: decommissioning is final: register another agent
        ");
    }

    #[test]
    fn a_limit_says_when_to_come_back() {
        let body = r#"{"code":"RATE_LIMIT_EXCEEDED","detail":"too many requests","details":null}"#;
        assert_snapshot!(refused_until(429, Some("7"), body), @r"
        error: too many requests
          code: RATE_LIMIT_EXCEEDED
        hint: try again in 7 seconds
        ");
    }

    #[test]
    fn an_outage_points_to_the_health_check() {
        let body = r#"{"code":"DEPENDENCY_UNAVAILABLE","detail":"the database does not answer"}"#;
        assert_snapshot!(refused(503, body), @r"
        error: the database does not answer
          code: DEPENDENCY_UNAVAILABLE
        hint: try again in a moment; `countersign health` tells when the server is ready
        ");
    }

    #[test]
    fn an_oauth_error_is_told_likewise() {
        let body =
            r#"{"error":"invalid_client","error_description":"client authentication failed"}"#;
        assert_snapshot!(refused(401, body), @r"
        error: client authentication failed
          code: invalid_client
        hint: check --client-id and the client secret; `introspect` and `revoke` take a token instead: set COUNTERSIGN_TOKEN or pass --token-file FILE
        ");
        assert_snapshot!(
            refused_until(429, Some("30"), r#"{"error":"temporarily_unavailable"}"#),
            @r"
        error: temporarily_unavailable
          code: temporarily_unavailable
        hint: try again in 30 seconds
        "
        );
    }

    #[test]
    fn a_foreign_body_is_shortened() {
        let page = format!("<html>\n<h1>502</h1>\x1b[2J {}", "padding ".repeat(100));
        assert_snapshot!(refused(502, &page), @r"
        error: the server answered 502 Bad Gateway
          body: <html> <h1>502</h1>\u{1b}[2J padding padding padding padding padding padding padding padding padding padding padding padding padding padding padding padding padding …
        hint: does --url name a Countersign server?
        ");
        assert_snapshot!(refused(404, ""), @r"
        error: the server answered 404 Not Found
        hint: check the id, and that --url names a Countersign server
        ");
    }
}
