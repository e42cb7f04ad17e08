//! Which template a path matches: for what is counted, and for how errors are written.

use crate::features::oauth;
use crate::metrics::RouteCounts;

/// The templates, and what is known of each.
pub struct Templates {
    tree: matchit::Router<Template>,
    none: Template,
}

/// One template.
pub struct Template {
    /// Where its requests are counted.
    pub counts: RouteCounts,
    /// Its errors are written as RFC 6749 asks, and not as problems.
    pub oauth: bool,
}

impl Templates {
    /// Of these templates, such as `/agents/{id}`.
    #[must_use]
    pub fn new<'t>(templates: impl IntoIterator<Item = &'t str>) -> Self {
        let mut tree = matchit::Router::new();
        for template in templates {
            let route = Template {
                counts: RouteCounts::new(template),
                oauth: oauth::is_endpoint(template),
            };
            // One that is there already, or that the router refuses, too.
            let _ = tree.insert(template, route);
        }
        Self { tree, none: Template { counts: RouteCounts::new("none"), oauth: false } }
    }

    /// The one that `path` matches, or the one of everything that matches nothing.
    #[must_use]
    pub fn at(&self, path: &str) -> &Template {
        self.tree.at(path).map_or(&self.none, |found| found.value)
    }
}
