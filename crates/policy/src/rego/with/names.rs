//! What names mean in a text: rules of all texts, imports, variables of the rule that they stand in.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{AssignOp, Expr, Literal, Module, Query, Ref, Rule, RuleHead};

/// The rules of all texts, by their paths.
#[derive(Default)]
pub(in crate::rego) struct Known {
    rules: BTreeMap<Vec<String>, bool>,
    packages: BTreeSet<Vec<String>>,
}

/// What lies at a path.
pub(super) enum Found {
    /// A rule: so many names lead to it.
    Rule(usize),
    Function,
    /// More than one rule.
    Several,
    Data,
}

impl Known {
    pub(in crate::rego) fn add(&mut self, module: &Module) {
        let package = package(module);
        for rule in &module.policy {
            let function = matches!(**rule, Rule::Spec { head: RuleHead::Func { .. }, .. });
            let path = [&package[..], &of_rule(rule)].concat();
            *self.rules.entry(path).or_default() |= function;
        }
        self.packages.insert(package);
    }

    pub(super) fn find(&self, path: &[String]) -> Found {
        let named = (1..=path.len()).rev().find_map(|length| {
            let function = self.rules.get(&path[..length])?;
            Some((length, *function))
        });
        let below = |known: &Vec<String>| known.starts_with(path);
        match named {
            Some((_, true)) => Found::Function,
            Some((length, false)) => Found::Rule(length),
            None if self.rules.keys().any(below) || self.packages.iter().any(below) => {
                Found::Several
            }
            None => Found::Data,
        }
    }

    /// Whether a value at a path would hide rules, or lie within one.
    pub(super) fn holds(&self, path: &[String]) -> bool {
        !matches!(self.find(path), Found::Data)
            || self.packages.iter().any(|package| path.starts_with(package))
    }

    /// Whether a package has a rule of that name.
    pub(super) fn has(&self, package: &[String], name: &str) -> bool {
        let path = [package, &[name.to_owned()]].concat();
        self.rules.keys().any(|known| known.starts_with(&path))
    }
}

/// The package of a text, such as `data`, `example`.
pub(in crate::rego) fn package(module: &Module) -> Vec<String> {
    [vec!["data".to_owned()], path(&module.package.refr)].concat()
}

/// What leads to a rule within its package.
pub(in crate::rego) fn of_rule(rule: &Rule) -> Vec<String> {
    match rule {
        Rule::Default { refr, .. } => path(refr),
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. }
            | RuleHead::Set { refr, .. }
            | RuleHead::Func { refr, .. } => path(refr),
        },
    }
}

/// What each import of a text is called, and its path.
pub(super) fn imports(module: &Module) -> BTreeMap<String, Vec<String>> {
    let imports = module.imports.iter().filter_map(|import| {
        let path = path(&import.refr);
        let alias = import.r#as.as_ref().map(|span| span.text().to_owned());
        Some((alias.or_else(|| path.last().cloned())?, path))
    });
    imports
        .filter(|(_, path)| path.first().is_some_and(|root| root == "data" || root == "input"))
        .collect()
}

/// The names that a reference begins with, as far as they stand there.
pub(super) fn path(expr: &Ref<Expr>) -> Vec<String> {
    chain(expr).into_iter().map_while(|(name, _)| name).collect()
}

/// A reference from its root on: the name of each member, if it stands there, and all up to it.
pub(super) fn chain(expr: &Ref<Expr>) -> Vec<(Option<String>, &Ref<Expr>)> {
    let (mut found, mut at) = (Vec::new(), expr);
    loop {
        match &**at {
            Expr::RefDot { refr, field, .. } => {
                found.push((Some(field.0.text().to_owned()), at));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                let name = match &**index {
                    Expr::String { value: Value::String(name), .. }
                    | Expr::RawString { value: Value::String(name), .. } => {
                        Some((**name).to_owned())
                    }
                    _ => None,
                };
                found.push((name, at));
                at = refr;
            }
            Expr::Var { span, .. } => {
                found.push((Some(span.text().to_owned()), at));
                break;
            }
            _ => {
                found.push((None, at));
                break;
            }
        }
    }
    found.reverse();
    found
}

/// The variables that a rule declares anywhere.
pub(super) fn variables(rule: &Rule) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    each(rule, &mut |declared| {
        let mut names = |expr: &Ref<Expr>| pattern(expr, &mut found);
        match declared {
            Declared::Pattern(expr) => names(expr),
            Declared::Name(name) => drop(found.insert(name.to_owned())),
        }
    });
    found
}

enum Declared<'r> {
    Pattern(&'r Ref<Expr>),
    Name(&'r str),
}

/// The names within a pattern.
fn pattern(expr: &Ref<Expr>, found: &mut BTreeSet<String>) {
    match &**expr {
        Expr::Var { span, .. } => drop(found.insert(span.text().to_owned())),
        Expr::Array { items, .. } => items.iter().for_each(|item| pattern(item, found)),
        Expr::Object { fields, .. } => {
            fields.iter().for_each(|(_, _, value)| pattern(value, found))
        }
        _ => {}
    }
}

fn each<'r>(rule: &'r Rule, tell: &mut impl FnMut(Declared<'r>)) {
    if let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = rule {
        args.iter().for_each(|arg| tell(Declared::Pattern(arg)));
    }
    let mut queries = Vec::new();
    super::walk::parts(rule, &mut |expr| in_expr(expr, &mut queries, tell), &mut Vec::new());
    if let Rule::Spec { bodies, .. } = rule {
        queries.extend(bodies.iter().map(|body| &*body.query));
    }
    while let Some(query) = queries.pop() {
        in_query(query, &mut queries, tell);
    }
}

fn in_query<'r>(
    query: &'r Query,
    queries: &mut Vec<&'r Query>,
    tell: &mut impl FnMut(Declared<'r>),
) {
    for stmt in &query.stmts {
        match &stmt.literal {
            Literal::SomeVars { vars, .. } => {
                vars.iter().for_each(|var| tell(Declared::Name(var.text())));
            }
            Literal::SomeIn { key, value, collection, .. } => {
                key.iter().chain([value]).for_each(|name| tell(Declared::Pattern(name)));
                in_expr(collection, queries, tell);
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => {
                in_expr(expr, queries, tell)
            }
            Literal::Every { key, value, domain, query, .. } => {
                key.iter().chain([value]).for_each(|name| tell(Declared::Name(name.text())));
                in_expr(domain, queries, tell);
                queries.push(query);
            }
        }
        for with in &stmt.with_mods {
            in_expr(&with.r#as, queries, tell);
        }
    }
}

fn in_expr<'r>(
    expr: &'r Ref<Expr>,
    queries: &mut Vec<&'r Query>,
    tell: &mut impl FnMut(Declared<'r>),
) {
    let mut left = vec![expr];
    while let Some(expr) = left.pop() {
        if let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = &**expr {
            tell(Declared::Pattern(lhs));
        }
        super::walk::within(expr, &mut left, queries);
    }
}
