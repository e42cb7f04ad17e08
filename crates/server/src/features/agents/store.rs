//! All SQL of `agents`.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx, Value};
use countersign_ground::ids::AgentId;
use countersign_ground::params;
use countersign_ground::problem::Problem;
use countersign_policy::Permissions;

use super::wire::NewAgent;
use super::{Agent, AgentError, AgentType, DeploymentEnv, Patch, Status};
use crate::law::action::{ChangeAgent, CreateAgent, QuarantineAgent, ReadAgents};
use crate::law::directory::Directory;
use crate::law::permit::Permit;

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " id, tenant, email, agent_type, version, capabilities, owner, deployment_env, status,
              scopes, allowed_resources, gen, revision, created_at, updated_at, last_seen_at ",
            $after
        )
    };
}

fn agent(row: &mut Row) -> db::Result<Agent> {
    let corrupt = |what: &str| db::Error::Query(format!("agents.{what} is not readable"));
    Ok(Agent {
        agent_id: row.take()?,
        tenant: row.take()?,
        email: row.take()?,
        agent_type: word::<AgentType>(row, "agent_type")?,
        version: row.take()?,
        capabilities: list(row, "capabilities")?,
        owner: row.take()?,
        deployment_env: word::<DeploymentEnv>(row, "deployment_env")?,
        status: word::<Status>(row, "status")?,
        scopes: match row.take::<String>()?.as_str() {
            "" => Permissions::default(),
            scope => Permissions::from_scope(scope).map_err(|_| corrupt("scopes"))?,
        },
        allowed_resources: list(row, "allowed_resources")?,
        generation: row.take()?,
        revision: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        last_seen_at: row.take()?,
    })
}

fn word<T: std::str::FromStr>(row: &mut Row, column: &str) -> db::Result<T> {
    let text: String = row.take()?;
    text.parse().map_err(|_| db::Error::Query(format!("agents.{column} is not readable")))
}

fn list(row: &mut Row, column: &str) -> db::Result<Vec<String>> {
    let text: String = row.take()?;
    serde_json::from_str(&text)
        .map_err(|_| db::Error::Query(format!("agents.{column} is not readable")))
}

fn json(items: &[String]) -> String {
    serde_json::Value::from(items).to_string()
}

/// Registers an agent, active, unless its email is taken.
///
/// # Errors
/// [`AgentError::EmailTaken`], or the database's failure.
pub async fn create(
    tx: &mut Tx,
    permit: &Permit<CreateAgent>,
    id: AgentId,
    new: &NewAgent,
    now: Time,
) -> Result<Agent, Problem> {
    let agent = Agent {
        agent_id: id,
        tenant: permit.tenant().to_owned(),
        email: new.email.clone(),
        agent_type: new.agent_type,
        version: new.version.clone(),
        capabilities: new.capabilities.clone(),
        owner: new.owner.clone(),
        deployment_env: new.deployment_env,
        status: Status::Active,
        scopes: new.scopes.clone(),
        allowed_resources: new.allowed_resources.clone(),
        generation: 1,
        revision: 1,
        created_at: now,
        updated_at: now,
        last_seen_at: None,
    };
    // Without RETURNING, for which SQLite makes a table of its own each time.
    let created = tx
        .execute(
            "INSERT INTO agents
                (id, tenant, email, agent_type, version, capabilities, owner, deployment_env,
                 status, scopes, allowed_resources, gen, revision, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)
             ON CONFLICT DO NOTHING",
            params![
                &id,
                &agent.tenant,
                &agent.email,
                agent.agent_type.as_str(),
                &agent.version,
                json(&agent.capabilities),
                &agent.owner,
                agent.deployment_env.as_str(),
                agent.status.as_str(),
                agent.scopes.to_scope(),
                json(&agent.allowed_resources),
                agent.generation,
                agent.revision,
                now,
            ],
        )
        .await?;
    if created == 0 { Err(AgentError::EmailTaken(agent.email).into()) } else { Ok(agent) }
}

/// How many agents the tenant has that are not decommissioned.
///
/// # Errors
/// The database's failure.
pub async fn count(tx: &mut Tx, permit: &Permit<CreateAgent>) -> db::Result<i64> {
    let mut count = tx
        .query(
            "SELECT COUNT(*) FROM agents WHERE tenant = $1 AND status <> 'decommissioned'",
            params![permit.tenant()],
        )
        .await?;
    count.first_mut().map_or(Ok(0), Row::take)
}

/// One agent of the permit's tenant.
///
/// # Errors
/// [`AgentError::NotFound`], or the database's failure.
pub async fn find(db: &Db, permit: &Permit<ReadAgents>, id: AgentId) -> Result<Agent, Problem> {
    let row = db
        .query_opt(
            columns!("SELECT", "FROM agents WHERE tenant = $1 AND id = $2"),
            params![permit.tenant(), &id],
        )
        .await?;
    let mut row = row.ok_or(AgentError::NotFound(id))?;
    Ok(agent(&mut row)?)
}

/// Which agents are wanted.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Who answers for them.
    pub owner: Option<String>,
    /// What they do.
    pub agent_type: Option<AgentType>,
    /// Where they run.
    pub deployment_env: Option<DeploymentEnv>,
    /// Whether they may act.
    pub status: Option<Status>,
}

/// One page of the tenant's agents, newest first, and how many there are on all pages.
///
/// # Errors
/// The database's failure.
pub async fn list_page(
    db: &Db,
    permit: &Permit<ReadAgents>,
    wanted: &Wanted,
    limit: i64,
    offset: i64,
) -> db::Result<(Vec<Agent>, i64)> {
    let total = matching(db, permit, wanted).await?;
    let here = limit.min(total - offset);
    if here <= 0 {
        return Ok((Vec::new(), total));
    }
    // From the nearer end: what is skipped is read, too.
    let from_oldest = offset > total / 2;
    let skipped = if from_oldest { total - offset - here } else { offset };
    let params = params![
        permit.tenant(),
        wanted.owner.clone(),
        wanted.agent_type.map(AgentType::as_str),
        wanted.deployment_env.map(DeploymentEnv::as_str),
        wanted.status.map(Status::as_str),
        here,
        skipped,
    ];
    let rows = db.query(page_sql(wanted, from_oldest), params).await?;
    let mut agents =
        rows.into_iter().map(|mut row| agent(&mut row)).collect::<db::Result<Vec<_>>>()?;
    if from_oldest {
        agents.reverse();
    }
    Ok((agents, total))
}

/// How many agents match, by the counts that are kept of each kind.
async fn matching(db: &Db, permit: &Permit<ReadAgents>, wanted: &Wanted) -> db::Result<i64> {
    let mut sum = db
        .query(
            "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM agent_counts
              WHERE tenant = $1 AND owner = $2 AND ($3 IS NULL OR agent_type = $3)
                AND ($4 IS NULL OR deployment_env = $4) AND ($5 IS NULL OR status = $5)",
            params![
                permit.tenant(),
                wanted.owner.as_deref().unwrap_or_default(),
                wanted.agent_type.map(AgentType::as_str),
                wanted.deployment_env.map(DeploymentEnv::as_str),
                wanted.status.map(Status::as_str),
            ],
        )
        .await?;
    sum.first_mut().map_or(Ok(0), Row::take)
}

/// One text for each set of filters: a database plans `$2 IS NULL OR owner = $2` without the index.
fn page_sql(wanted: &Wanted, from_oldest: bool) -> &'static str {
    macro_rules! page {
        ($owner:literal $type:literal $env:literal $status:literal) => {
            if from_oldest {
                page!("ASC" $owner $type $env $status)
            } else {
                page!("DESC" $owner $type $env $status)
            }
        };
        ($order:literal $owner:literal $type:literal $env:literal $status:literal) => {
            concat!(
                "SELECT id, tenant, email, agent_type, version, capabilities, owner,
                        deployment_env, status, scopes, allowed_resources, gen, revision,
                        created_at, updated_at, last_seen_at
                   FROM agents WHERE id IN (
                        SELECT id FROM agents WHERE tenant = $1 AND ",
                $owner, " AND ", $type, " AND ", $env, " AND ", $status,
                " ORDER BY id ", $order, " LIMIT $6 OFFSET $7) ORDER BY id ", $order
            )
        };
    }
    // Each filter that is given stands in the text; of one that is not, only its parameter.
    macro_rules! pick {
        ($($chosen:literal)*;) => { page!($($chosen)*) };
        ($($chosen:literal)*; $given:expr, $with:literal, $without:literal; $($rest:tt)*) => {
            if $given.is_some() {
                pick!($($chosen)* $with; $($rest)*)
            } else {
                pick!($($chosen)* $without; $($rest)*)
            }
        };
    }
    pick!(;
        wanted.owner, "owner = $2", "$2 IS NULL";
        wanted.agent_type, "agent_type = $3", "$3 IS NULL";
        wanted.deployment_env, "deployment_env = $4", "$4 IS NULL";
        wanted.status, "status = $5", "$5 IS NULL";
    )
}

/// Changes an agent, if it still has the revision that the client read.
///
/// # Errors
/// An [`AgentError`], or the database's failure.
pub async fn change(
    tx: &mut Tx,
    permit: &Permit<ChangeAgent>,
    id: AgentId,
    patch: &Patch,
    if_match: Option<&[String]>,
    now: Time,
) -> Result<(Agent, &'static str), Problem> {
    let row = tx
        .query_opt(
            columns!("SELECT", "FROM agents WHERE tenant = $1 AND id = $2 FOR UPDATE"),
            params![permit.tenant(), &id],
        )
        .await?;
    let mut changed = agent(&mut row.ok_or(AgentError::NotFound(id))?)?;
    if if_match.is_some_and(|tags| !tags.contains(&changed.etag())) {
        return Err(AgentError::Changed(id).into());
    }
    let action = changed.apply(patch, now)?;
    tx.execute(
        "UPDATE agents SET agent_type = $3, version = $4, capabilities = $5, owner = $6,
                deployment_env = $7, status = $8, scopes = $9, allowed_resources = $10,
                gen = $11, revision = $12, updated_at = $13
          WHERE tenant = $1 AND id = $2",
        params![
            permit.tenant(),
            &id,
            changed.agent_type.as_str(),
            &changed.version,
            json(&changed.capabilities),
            &changed.owner,
            changed.deployment_env.as_str(),
            changed.status.as_str(),
            changed.scopes.to_scope(),
            json(&changed.allowed_resources),
            changed.generation,
            changed.revision,
            now,
        ],
    )
    .await?;
    Ok((changed, action))
}

/// Suspends an agent, whatever its status, and ends its tokens; gives when the last of them expires,
/// if one is not expired yet.
///
/// # Errors
/// An [`AgentError`], or the database's failure.
pub async fn quarantine(
    tx: &mut Tx,
    permit: &Permit<QuarantineAgent>,
    id: AgentId,
    now: Time,
) -> Result<(Agent, Option<Time>), Problem> {
    // The row is changed before it is looked at: two that both looked first would wait for one
    // another.
    let row = tx
        .query_opt(
            columns!(
                "UPDATE agents SET status = 'suspended', gen = gen + 1, revision = revision + 1,
                        updated_at = $3
                  WHERE tenant = $1 AND id = $2 AND status <> 'decommissioned'
              RETURNING token_until,",
                ""
            ),
            params![permit.tenant(), &id, now],
        )
        .await?;
    let Some(mut row) = row else {
        hold(tx, permit.tenant(), id).await?;
        return Err(AgentError::Decommissioned(id).into());
    };
    let until: Option<Time> = row.take()?;
    Ok((agent(&mut row)?, until.filter(|until| *until > now)))
}

/// Lets a suspended agent act again.
///
/// # Errors
/// An [`AgentError`], or the database's failure.
pub async fn reinstate(
    tx: &mut Tx,
    permit: &Permit<QuarantineAgent>,
    id: AgentId,
    now: Time,
) -> Result<Agent, Problem> {
    let row = tx
        .query_opt(
            columns!(
                "UPDATE agents SET status = 'active', revision = revision + 1, updated_at = $3
                  WHERE tenant = $1 AND id = $2 AND status = 'suspended' RETURNING",
                ""
            ),
            params![permit.tenant(), &id, now],
        )
        .await?;
    match row {
        Some(mut row) => Ok(agent(&mut row)?),
        None => {
            hold(tx, permit.tenant(), id).await?;
            Err(AgentError::Active(id).into())
        }
    }
}

/// Holds an active agent in place until the transaction ends: a grant must not slip past a stop.
///
/// # Errors
/// An [`AgentError`] when it is not there or not active.
pub async fn hold_active(tx: &mut Tx, tenant: &str, id: AgentId) -> Result<(), Problem> {
    match hold(tx, tenant, id).await? {
        Status::Suspended => Err(AgentError::NotActive(id).into()),
        _ => Ok(()),
    }
}

/// Holds an agent in place until the transaction ends, unless it is decommissioned: that is final.
///
/// # Errors
/// An [`AgentError`] when it is not there or decommissioned.
pub async fn hold(tx: &mut Tx, tenant: &str, id: AgentId) -> Result<Status, Problem> {
    let row = tx
        .query_opt(
            "SELECT status FROM agents WHERE tenant = $1 AND id = $2 FOR SHARE",
            params![tenant, &id],
        )
        .await?;
    let mut row = row.ok_or(AgentError::NotFound(id))?;
    match word(&mut row, "status")? {
        Status::Decommissioned => Err(AgentError::Decommissioned(id).into()),
        status => Ok(status),
    }
}

/// Notes when agents were last seen, and until when the tokens that they were given live; an older
/// time never replaces a newer.
///
/// # Errors
/// The database's failure.
pub async fn seen(tx: &mut Tx, agents: &[(AgentId, Time, Time)]) -> db::Result<()> {
    let each: Vec<Vec<Value>> =
        agents.iter().map(|(id, at, until)| params![id, *at, *until].to_vec()).collect();
    tx.execute_each(
        "UPDATE agents
            SET last_seen_at = CASE WHEN last_seen_at > $2 THEN last_seen_at ELSE $2 END,
                token_until = CASE WHEN token_until > $3 THEN token_until ELSE $3 END
          WHERE id = $1",
        &each,
    )
    .await
}

/// Reads one agent into memory, without its credentials.
///
/// # Errors
/// The database's failure.
pub async fn load_one(db: &Db, directory: &Arc<Directory>, id: AgentId) -> db::Result<()> {
    let row = db.query_opt(columns!("SELECT", "FROM agents WHERE id = $1"), params![&id]).await?;
    if let Some(mut row) = row {
        directory.put_agent(agent(&mut row)?.facts());
    }
    Ok(())
}

/// Reads every agent into memory, a page at a time.
///
/// # Errors
/// The database's failure.
pub async fn load(db: &Db, directory: &Arc<Directory>) -> db::Result<()> {
    const PAGE: i64 = 5_000;
    let mut after = String::new();
    loop {
        let rows = db
            .query(
                columns!("SELECT", "FROM agents WHERE id > $1 ORDER BY id LIMIT $2"),
                params![&after, PAGE],
            )
            .await?;
        let Some(last) = rows.len().checked_sub(1) else { return Ok(()) };
        for (i, mut row) in rows.into_iter().enumerate() {
            let agent = agent(&mut row)?;
            if i == last {
                after = agent.agent_id.to_string();
            }
            directory.put_agent(agent.facts());
        }
    }
}
