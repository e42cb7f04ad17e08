//! The route table: which request of a service behind a gateway needs what. A target is never rewritten to
//! decide on it: one that two servers could read in two ways is refused.

mod decide;
mod explain;
mod read;
mod target;
mod tree;

use std::sync::{Arc, LazyLock};

use crate::decision::{Policy, Reason};
use crate::fault::Fault;
use crate::permission::Permission;

use tree::Tree;

pub use explain::Explained;
pub use target::{Ambiguity, Host, Target};

/// What every request needs, by host, path and method. Found by segments: the same with any number of routes.
#[derive(Debug)]
pub struct Routes {
    text: Box<str>,
    hash: Arc<str>,
    /// What happens where no route matches.
    unlisted: Unlisted,
    all: Vec<Route>,
    tree: Tree,
}

/// What happens to a request that no route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlisted {
    /// It is refused.
    Deny,
    /// It passes.
    Allow,
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// Its place in the table: a JSON pointer (RFC 6901).
    pub at: Arc<str>,
    /// The host that it is for; any when there is none.
    pub host: Option<Box<str>>,
    /// As it is written in the table.
    pub path: Arc<str>,
    /// The methods that it is for; all when there are none.
    pub methods: Option<Vec<Box<str>>>,
    /// What a request needs.
    pub needs: Needs,
    /// The guard that says whether it is enforced; without one it always is.
    pub guard: Option<Arc<str>>,
    /// Ambiguous targets, too: whoever wrote it knows how the service reads them.
    pub raw: bool,
    /// Which segment holds the id of what is acted on: that of a capture `{id}`.
    id: Option<usize>,
}

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// To come from one of these, and to be allowed this; one of the two may be absent.
    Caller(Option<Callers>, Option<Permission>),
}

/// Who may come.
#[derive(Debug, PartialEq, Eq)]
pub struct Callers(Vec<Allowed>);

/// One kind of caller, or one of them.
#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    /// Whoever proved who they are.
    Anybody,
    /// All of a kind: `agent`, `service`, `operator`, `machine`.
    Kind(&'static str),
    /// One of them.
    One(&'static str, Box<str>),
}

/// The kinds of callers.
const KINDS: [&str; 4] = ["agent", "service", "operator", "machine"];

impl Callers {
    /// Whether this caller is among them.
    #[must_use]
    pub fn admit(&self, kind: &str, id: &str) -> bool {
        self.0.iter().any(|one| match one {
            Allowed::Anybody => true,
            Allowed::Kind(of) => *of == kind,
            Allowed::One(of, name) => *of == kind && **name == *id,
        })
    }
}

/// Why the table answers without asking any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No route matches.
    Unlisted,
    /// The route does not list the method.
    Method,
    /// The target can be read in two ways.
    Ambiguous(Ambiguity),
}

impl Refusal {
    /// As a decision's reason.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Unlisted => Reason::NoMatchingRule,
            Self::Method => Reason::Word("method_not_listed"),
            Self::Ambiguous(ambiguity) => Reason::Word(ambiguity.word()),
        }
    }
}

/// What the table says of a request.
#[derive(Debug)]
pub enum Found<'r> {
    /// This route answers.
    Route(&'r Route),
    /// None does, and the table lets that pass.
    Passes,
    /// The table refuses it; the route is the one that would have answered.
    Refused(Refusal, Option<&'r Route>),
}

/// The text is not a table. Holds the first faults, not thousands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usable route table{}", .0.iter().map(|fault| format!("; {fault}")).collect::<String>())]
pub struct InvalidRoutes(pub Vec<Fault>);

impl Routes {
    /// A table without routes: everything is refused.
    #[expect(clippy::expect_used, reason = "the text is part of the program and a test parses it")]
    #[must_use]
    pub fn none() -> Self {
        Self::parse(r#"{"default":"deny","routes":[]}"#).expect("the empty table parses")
    }

    /// Which route answers a request, and whether the table refuses it by itself.
    #[must_use]
    pub fn find(&self, method: &str, host: &str, target: &str) -> Found<'_> {
        let refused = |ambiguity, route| Found::Refused(Refusal::Ambiguous(ambiguity), route);
        if !is_method(method) {
            return refused(Ambiguity::Method, None);
        }
        let Some(host) = Host::read(host) else { return refused(Ambiguity::Host, None) };
        let target = Target::read(target);
        let Some(matching) = target.path.and_then(|path| self.tree.find(path, &host)) else {
            return match (target.ambiguity, self.unlisted) {
                (Some(ambiguity), _) => refused(ambiguity, None),
                (None, Unlisted::Deny) => Found::Refused(Refusal::Unlisted, None),
                (None, Unlisted::Allow) => Found::Passes,
            };
        };
        let matching = || matching.iter().map(|at| &self.all[*at]);
        let listing = |route: &&Route| {
            route.methods.as_ref().is_some_and(|methods| methods.iter().any(|one| **one == *method))
        };
        let every = |route: &&Route| route.methods.is_none();
        let route = matching().find(listing).or_else(|| matching().find(every));
        match (route, target.ambiguity) {
            (Some(route), Some(ambiguity)) if !route.raw => refused(ambiguity, Some(route)),
            (None, Some(ambiguity)) => refused(ambiguity, matching().next()),
            (Some(route), _) => Found::Route(route),
            (None, None) => Found::Refused(Refusal::Method, matching().next()),
        }
    }

    /// First 16 hex digits of SHA-256 over the canonical form of the table (RFC 8785).
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// As the policy that answered.
    #[must_use]
    pub fn policy(&self) -> Policy {
        static NAME: LazyLock<Arc<str>> = LazyLock::new(|| Routes::PACKAGE.into());
        Policy { package: Arc::clone(&NAME), version: Arc::clone(&self.hash), registry: None }
    }

    /// What decisions call the table.
    pub const PACKAGE: &str = "routes";

    /// The table as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All routes, in the order of the table.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.all.iter()
    }

    /// What happens where no route matches.
    #[must_use]
    pub fn unlisted(&self) -> Unlisted {
        self.unlisted
    }
}

impl Route {
    /// The id of what a target is about, as it stands there: `*` where the route captures none.
    #[must_use]
    pub fn id<'t>(&self, target: &'t str) -> &'t str {
        let path = Target::read(target).path.unwrap_or_default();
        self.id
            .and_then(|at| path.split('/').nth(at + 1))
            .filter(|id| !id.is_empty())
            .unwrap_or("*")
    }
}

/// A method as HTTP has it: other letters may mean the same to a service that is less strict.
fn is_method(method: &str) -> bool {
    (1..=32).contains(&method.len()) && method.bytes().all(|c| c.is_ascii_uppercase() || c == b'-')
}
