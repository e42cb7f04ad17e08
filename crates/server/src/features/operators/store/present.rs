//! Who could sign in now, and that somebody is left who can administer.

use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Tx};
use countersign_ground::ids::OperatorId;
use countersign_ground::params;
use countersign_ground::problem::Problem;
use countersign_ground::record::default_tenant;
use countersign_policy::Matrix;

use super::super::OperatorError;

/// Somebody with a token that is good now.
#[derive(Debug)]
pub struct Present {
    /// Who.
    pub id: OperatorId,
    tenant: Arc<str>,
    roles: Vec<String>,
}

impl Present {
    /// Whether one of their roles holds a permission over the whole installation.
    #[must_use]
    pub fn may_everywhere(&self, matrix: &Matrix, resource: &str, action: &str) -> bool {
        let reaches = *self.tenant == *default_tenant() || self.is_infra(matrix);
        reaches && self.may(matrix, resource, action)
    }

    /// Whether one of their roles crosses tenants.
    #[must_use]
    pub fn is_infra(&self, matrix: &Matrix) -> bool {
        self.roles.iter().any(|role| matrix.role(role) == Some("infra"))
    }

    fn may(&self, matrix: &Matrix, resource: &str, action: &str) -> bool {
        let roles = self.roles.iter().map(String::as_str);
        matrix.granting(roles, resource, action).is_some()
    }

    /// Whether they may change operators in their tenant.
    fn administers(&self, matrix: &Matrix) -> bool {
        self.id.is_bootstrap() || self.may(matrix, "operators", "write")
    }

    fn crosses_tenants(&self, matrix: &Matrix) -> bool {
        self.id.is_bootstrap() || self.is_infra(matrix)
    }
}

/// Who could administer before a change, and what roles mean while it is made.
#[derive(Debug)]
pub struct Administration {
    /// Everybody who could sign in.
    pub before: Vec<Present>,
    /// What roles may do.
    pub matrix: Arc<Matrix>,
}

/// Stands in line with all that changes who may administer: operators, their tokens, the matrix.
///
/// # Errors
/// The database's failure.
pub async fn hold_administration(tx: &mut Tx) -> db::Result<()> {
    tx.query("SELECT id FROM tenants WHERE id = 'default' FOR UPDATE", &[]).await.map(drop)
}

/// Everybody who could sign in now.
///
/// # Errors
/// The database's failure.
pub async fn present(tx: &mut Tx, now: Time) -> db::Result<Vec<Present>> {
    let rows = tx
        .query(
            "SELECT o.id, o.tenant, o.roles FROM operators o
              WHERE o.deleted_at IS NULL AND EXISTS (
                    SELECT 1 FROM operator_tokens t
                     WHERE t.operator_id = o.id AND t.revoked_at IS NULL
                       AND (t.expires_at IS NULL OR t.expires_at > $1))",
            params![now],
        )
        .await?;
    let present = rows.into_iter().map(|mut row| {
        let (id, tenant, roles): (_, String, String) = (row.take()?, row.take()?, row.take()?);
        let roles = roles.split_whitespace().map(str::to_owned).collect();
        Ok(Present { id, tenant: tenant.into(), roles })
    });
    present.collect()
}

/// Refuses a change after which nobody could administer what somebody could before.
pub(super) async fn somebody_left(
    tx: &mut Tx,
    Administration { before, matrix }: &Administration,
    changed: &OperatorId,
    now: Time,
) -> Result<(), Problem> {
    let Some(was) = before.iter().find(|one| one.id == *changed) else { return Ok(()) };
    let after = present(tx, now).await?;
    let mut administrators = after.iter().filter(|one| one.administers(matrix));
    let lost_tenant =
        was.administers(matrix) && !administrators.clone().any(|one| one.tenant == was.tenant);
    let lost_all = was.administers(matrix)
        && was.crosses_tenants(matrix)
        && !administrators.any(|one| one.crosses_tenants(matrix));
    let what: Arc<str> = match (lost_all, lost_tenant) {
        (true, _) => "the installation".into(),
        (false, true) => format!("the tenant `{}`", was.tenant).into(),
        (false, false) => return Ok(()),
    };
    Err(OperatorError::LastAdministrator(changed.clone(), what).into())
}
