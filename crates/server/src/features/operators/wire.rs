//! What a client may send about an operator, and what each field must be.

use countersign_ground::problem::{Code, Problem};
use countersign_policy::Matrix;
use serde_json::Value;
use utoipa::ToSchema;

use super::Patch;
use crate::doors::fields::{self, Fields};

const MOST_ROLES: usize = 32;

/// What makes an operator.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct NewOperator {
    /// An address, unique in the tenant.
    #[schema(format = "email", example = "olga@example.com")]
    pub email: String,
    /// For people; 1 to 128 characters.
    pub display_name: String,
    /// At least one role of the matrix, or an alias of one.
    #[schema(example = json!(["approver"]))]
    pub roles: Vec<String>,
    /// 1 to 5; by the roles when absent.
    pub max_approval_level: Option<i64>,
}

impl NewOperator {
    /// Reads and checks every field.
    ///
    /// # Errors
    /// A 400 that names all that are at fault.
    pub fn read(mut fields: Fields, matrix: &Matrix) -> Result<Self, Problem> {
        let email = fields.required("email", fields::email);
        let display_name = fields.required("displayName", fields::text_up_to(128));
        let roles = fields.required("roles", roles(matrix));
        let max_approval_level = fields.optional("maxApprovalLevel", fields::integer(1, 5));
        fields.finish()?;
        let (Some(email), Some(display_name), Some(roles)) = (email, display_name, roles) else {
            return Err(Problem::internal("a field at fault was not named"));
        };
        Ok(Self { email, display_name, roles, max_approval_level })
    }
}

/// What changes an operator: only the fields that are given.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API; `Patch` is what is read")]
pub(super) struct OperatorPatch {
    #[schema(format = "email")]
    email: Option<String>,
    display_name: Option<String>,
    roles: Option<Vec<String>>,
    /// `null`: by the roles again.
    max_approval_level: Option<i64>,
}

impl Patch {
    /// Reads and checks every field.
    ///
    /// # Errors
    /// A 400 that names all that are at fault, or that there is none.
    pub fn read(mut fields: Fields, matrix: &Matrix) -> Result<Self, Problem> {
        for name in ["operatorId", "tenant", "approvalLevel", "createdAt", "updatedAt"] {
            if fields.has(name) {
                fields.fault(name, "can't be changed");
            }
        }
        let level = |value: Value| match value {
            Value::Null => Ok(None),
            value => fields::integer(1, 5)(value).map(Some),
        };
        let patch = Self {
            email: fields.optional("email", fields::email),
            display_name: fields.optional("displayName", fields::text_up_to(128)),
            roles: fields.optional("roles", roles(matrix)),
            max_approval_level: fields.optional("maxApprovalLevel", level),
        };
        fields.finish()?;
        if patch == Self::default() {
            let detail = "the body changes nothing: give at least one field";
            return Err(Problem::new(Code::Validation, detail));
        }
        Ok(patch)
    }
}

fn roles(matrix: &Matrix) -> impl FnOnce(Value) -> Result<Vec<String>, String> {
    move |value| {
        let role = |item| {
            let name = fields::text(item)?;
            let unknown = || format!("must be one of `{}`, or an alias of one", names(matrix));
            matrix.role(&name).map(|_| name.clone()).ok_or_else(unknown)
        };
        let roles = fields::list(MOST_ROLES, role)(value)?;
        if roles.is_empty() {
            return Err("must have at least one".into());
        }
        if roles.iter().enumerate().any(|(i, role)| roles[..i].contains(role)) {
            return Err("must name each role once".into());
        }
        Ok(roles)
    }
}

fn names(matrix: &Matrix) -> String {
    matrix.roles().take(20).collect::<Vec<_>>().join("`, `")
}
