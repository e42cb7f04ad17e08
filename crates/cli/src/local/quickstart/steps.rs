//! The steps: each is a `curl` that anybody can repeat, and what it answered.

use anyhow::{Context, bail};
use countersign_ground::entropy::Entropy;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::output::line;

/// Shows all of them; fails when the server answers otherwise than it should.
pub(super) async fn show(base: &str, token: &str) -> anyhow::Result<()> {
    let guide = Guide { base, client: Client::new() };
    let operator = Auth { shown: "$TOKEN", token };

    guide.title("1. Register an agent, and say what its tokens may hold")?;
    let agent = json!({
        "email": format!("screener-{:08x}@agents.example", u32::from_be_bytes(Entropy::System.bytes())),
        "agentType": "screener", "version": "1.0.0", "capabilities": ["resumes:read"],
        "owner": "hiring-team", "deploymentEnv": "development", "scopes": ["agents:read"],
    });
    let agent = guide.json(Method::POST, "/api/v1/agents", &operator, Some(agent), 201).await?;
    let id = text(&agent, "agentId")?;
    line(&format!("   → 201, agent {id}, {}", text(&agent, "status")?))?;

    guide.title("2. Give it a credential; the secret is shown this once")?;
    let path = format!("/api/v1/agents/{id}/credentials");
    let credential = guide.json(Method::POST, &path, &operator, None, 201).await?;
    let secret = text(&credential, "clientSecret")?;
    let start: String = secret.chars().take(12).collect();
    line(&format!("   → 201, credential {}, secret {start}…", text(&credential, "credentialId")?))?;

    guide.title("3. The agent trades it for an access token")?;
    let (status, answer) = guide.token(&id, &secret).await?;
    expect(status, 200, &answer)?;
    let access = text(&answer, "access_token")?;
    line(&format!(
        "   → 200, a {} token for `{}`, good for {} s",
        text(&answer, "token_type")?,
        text(&answer, "scope")?,
        answer["expires_in"]
    ))?;
    let agent_auth = Auth { shown: "$ACCESS_TOKEN", token: &access };

    guide.title("4. With it, the agent may do what its scope says")?;
    let listed = guide.json(Method::GET, "/api/v1/agents", &agent_auth, None, 200).await?;
    line(&format!("   → 200, {} agent(s)", listed["total"]))?;

    guide.title(
        "5. It may not do anything else, and is told what it lacks and which decision that was",
    )?;
    let refused = guide.json(Method::GET, "/api/v1/audit", &agent_auth, None, 403).await?;
    line(&format!("   → 403 {}: {}", text(&refused, "code")?, text(&refused, "detail")?))?;
    line(&format!("     {}", text(&refused, "decision_id")?))?;

    guide.title("6. Suspend the agent")?;
    let path = format!("/api/v1/agents/{id}");
    let suspend = Some(json!({"status": "suspended"}));
    let agent = guide.json(Method::PATCH, &path, &operator, suspend, 200).await?;
    line(&format!("   → 200, {}", text(&agent, "status")?))?;

    guide.title("7. Its live token is dead at once, and it gets no new one")?;
    let dead = guide.json(Method::GET, "/api/v1/agents", &agent_auth, None, 401).await?;
    line(&format!("   → 401 {}", text(&dead, "code")?))?;
    let (status, answer) = guide.token(&id, &secret).await?;
    expect(status, 403, &answer)?;
    line(&format!("   → 403 {}", text(&answer, "error")?))?;

    guide.title("8. Every step stands in the record")?;
    let path = "/api/v1/audit?limit=20";
    let record = guide.json(Method::GET, path, &operator, None, 200).await?;
    let events = record["data"].as_array().context("the record has no `data`")?;
    for event in events.iter().rev() {
        line(&format!(
            "   {}  {:<21} {:<8} by {}",
            text(event, "timestamp")?,
            text(event, "action")?,
            text(event, "outcome")?,
            text(event, "actorType")?
        ))?;
    }
    Ok(())
}

struct Guide<'b> {
    base: &'b str,
    client: Client,
}

struct Auth<'t> {
    shown: &'t str,
    token: &'t str,
}

impl Guide<'_> {
    fn title(&self, text: &str) -> anyhow::Result<()> {
        Ok(line(&format!("\n{text}"))?)
    }

    /// Shows the `curl`, does the same, and checks the status.
    async fn json(
        &self,
        method: Method,
        path: &str,
        auth: &Auth<'_>,
        body: Option<Value>,
        wanted: u16,
    ) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let verb = if method == Method::GET { String::new() } else { format!(" -X {method}") };
        let data = body.as_ref().map_or(String::new(), |body| {
            format!(" \\\n       -H 'Content-Type: application/json' \\\n       -d '{body}'")
        });
        line(&format!(
            "   curl{verb} '{url}' \\\n       -H \"Authorization: Bearer {}\"{data}",
            auth.shown
        ))?;
        let mut request = self.client.request(method, &url).bearer_auth(auth.token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let answer: Value = response.json().await.context("the answer is not JSON")?;
        expect(status, wanted, &answer)?;
        Ok(answer)
    }

    async fn token(&self, id: &str, secret: &str) -> anyhow::Result<(StatusCode, Value)> {
        let url = format!("{}/api/v1/token", self.base);
        line(&format!(
            "   curl -u '{id}:'\"$CLIENT_SECRET\" '{url}' -d grant_type=client_credentials"
        ))?;
        let request = self.client.post(&url).basic_auth(id, Some(secret));
        let response = request.form(&[("grant_type", "client_credentials")]).send().await?;
        Ok((response.status(), response.json().await?))
    }
}

fn expect(status: StatusCode, wanted: u16, answer: &Value) -> anyhow::Result<()> {
    if status.as_u16() != wanted {
        bail!("expected {wanted}, the server answered {status}: {answer}");
    }
    Ok(())
}

fn text(value: &Value, name: &str) -> anyhow::Result<String> {
    let text = value[name].as_str().with_context(|| format!("the answer has no `{name}`"))?;
    Ok(text.to_owned())
}
