//! All SQL of `tenants`.

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx};
use countersign_ground::params;
use countersign_ground::problem::Problem;

use super::{Patch, Plan, Tenant, TenantError};
use crate::law::action::{ReadTenants, WriteTenants};
use crate::law::directory::Directory;
use crate::law::permit::Permit;

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!($before, " id, display_name, plan, revision, created_at, updated_at ", $after)
    };
}

fn tenant(row: &mut Row) -> db::Result<Tenant> {
    let (id, display_name, plan): (_, _, String) = (row.take()?, row.take()?, row.take()?);
    let unreadable = |_| db::Error::Query("tenants.plan is not readable".into());
    Ok(Tenant {
        id,
        display_name,
        plan: plan.parse().map_err(unreadable)?,
        revision: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
    })
}

/// Makes a tenant.
///
/// # Errors
/// [`TenantError::Exists`], or the database's failure.
pub async fn create(
    tx: &mut Tx,
    _: &Permit<WriteTenants>,
    (id, display_name, plan): (&str, &str, Plan),
    now: Time,
) -> Result<Tenant, Problem> {
    let row = tx
        .query_opt(
            columns!(
                "INSERT INTO tenants (id, display_name, plan, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING RETURNING",
                ""
            ),
            params![id, display_name, plan.as_str(), now],
        )
        .await?;
    let mut row = row.ok_or_else(|| TenantError::Exists(id.to_owned()))?;
    Ok(tenant(&mut row)?)
}

/// Changes a tenant.
///
/// # Errors
/// [`TenantError::NotFound`], or the database's failure.
pub async fn change(
    tx: &mut Tx,
    _: &Permit<WriteTenants>,
    id: &str,
    patch: &Patch,
    now: Time,
) -> Result<Tenant, Problem> {
    let row = tx
        .query_opt(
            columns!(
                "UPDATE tenants SET display_name = COALESCE($2, display_name),
                        plan = COALESCE($3, plan), revision = revision + 1, updated_at = $4
                  WHERE id = $1 RETURNING",
                ""
            ),
            params![id, patch.display_name.clone(), patch.plan.map(Plan::as_str), now],
        )
        .await?;
    let mut row = row.ok_or_else(|| TenantError::NotFound(id.to_owned()))?;
    Ok(tenant(&mut row)?)
}

/// One tenant.
///
/// # Errors
/// [`TenantError::NotFound`], or the database's failure.
pub async fn find(db: &Db, _: &Permit<ReadTenants>, id: &str) -> Result<Tenant, Problem> {
    let row = db.query_opt(columns!("SELECT", "FROM tenants WHERE id = $1"), params![id]).await?;
    let mut row = row.ok_or_else(|| TenantError::NotFound(id.to_owned()))?;
    Ok(tenant(&mut row)?)
}

/// One page of tenants by id, and how many there are on all pages.
///
/// # Errors
/// The database's failure.
pub async fn list(
    db: &Db,
    _: &Permit<ReadTenants>,
    limit: i64,
    offset: i64,
) -> db::Result<(Vec<Tenant>, i64)> {
    let mut count = db.query("SELECT COUNT(*) FROM tenants", &[]).await?;
    let total = count.first_mut().map_or(Ok(0), Row::take)?;
    let rows = db
        .query(
            columns!("SELECT", "FROM tenants ORDER BY id LIMIT $1 OFFSET $2"),
            params![limit, offset],
        )
        .await?;
    let found: db::Result<_> = rows.into_iter().map(|mut row| tenant(&mut row)).collect();
    Ok((found?, total))
}

/// How much a tenant's plan allows now. Its row is held until the transaction ends, so that two who
/// come at once are counted one after the other.
///
/// # Errors
/// The database's failure.
pub async fn hold_plan(tx: &mut Tx, id: &str) -> db::Result<Plan> {
    let row =
        tx.query_opt("SELECT plan FROM tenants WHERE id = $1 FOR UPDATE", params![id]).await?;
    let Some(mut row) = row else { return Ok(Plan::Unlimited) };
    let plan: String = row.take()?;
    plan.parse().map_err(|_| db::Error::Query("tenants.plan is not readable".into()))
}

/// Says since when there is the first tenant, which the schema made without a clock.
///
/// # Errors
/// The database's failure.
pub async fn begin(db: &Db, now: Time) -> db::Result<()> {
    db.write((), move |tx, ()| {
        Box::pin(async move {
            tx.execute(
                "UPDATE tenants SET created_at = $1, updated_at = $1
                  WHERE id = 'default' AND created_at = 0",
                params![now],
            )
            .await
            .map(drop)
        })
    })
    .await
}

/// Reads one tenant into memory.
///
/// # Errors
/// The database's failure.
pub async fn load_one(db: &Db, directory: &Directory, id: &str) -> db::Result<()> {
    let row = db.query_opt(columns!("SELECT", "FROM tenants WHERE id = $1"), params![id]).await?;
    if let Some(mut row) = row {
        directory.put_tenant(tenant(&mut row)?.facts());
    }
    Ok(())
}

/// Reads every tenant into memory.
///
/// # Errors
/// The database's failure.
pub async fn load(db: &Db, directory: &Directory) -> db::Result<()> {
    let rows = db.query(columns!("SELECT", "FROM tenants"), &[]).await?;
    for mut row in rows {
        directory.put_tenant(tenant(&mut row)?.facts());
    }
    Ok(())
}
