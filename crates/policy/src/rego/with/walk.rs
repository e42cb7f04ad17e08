//! A text from its beginning to its end: each `with`, and each name that stands under one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use regorus::unstable::{
    Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead, Span, WithModifier,
};

use super::names::{Found, Known, chain, imports, package, path, variables};
use super::{Ask, Asked, Edit, Fresh, Place, STOP, Target, Text, line, range};
use crate::fault::Fault;
use crate::rego::words::Word;

pub(super) struct Walk<'w> {
    text: &'w Text<'w>,
    known: &'w Known,
    words: &'w [Word<'w>],
    fresh: &'w Fresh,
    asks: &'w mut Vec<Ask>,
    package: Vec<String>,
    imports: BTreeMap<String, Vec<String>>,
    variables: BTreeSet<String>,
    names: usize,
    pub(super) edits: Vec<Edit>,
}

/// The statement with `with` that an expression stands in.
struct Under {
    /// What is asked there, by the names of the answers.
    asked: Asked,
    order: Vec<(Target, String)>,
    /// Whether `time.now_ns` is replaced there.
    now: bool,
}

const NOW: [&str; 2] = ["time", "now_ns"];

type Result<T> = std::result::Result<T, Fault>;

impl<'w> Walk<'w> {
    pub(super) fn new(
        text: &'w Text<'w>,
        known: &'w Known,
        words: &'w [Word<'w>],
        fresh: &'w Fresh,
        asks: &'w mut Vec<Ask>,
    ) -> Self {
        let (package, imports) = (package(&text.module), imports(&text.module));
        let variables = BTreeSet::new();
        Self {
            text,
            known,
            words,
            fresh,
            asks,
            package,
            imports,
            variables,
            names: 0,
            edits: Vec::new(),
        }
    }

    pub(super) fn module(&mut self) -> Result<()> {
        let text = self.text;
        for rule in &text.module.policy {
            self.variables = variables(rule);
            let (mut exprs, mut queries) = (Vec::new(), Vec::new());
            parts(rule, &mut |expr| exprs.push(expr), &mut queries);
            for expr in exprs {
                self.expr(expr, None)?;
            }
            for query in queries {
                self.body(query)?;
            }
        }
        Ok(())
    }

    /// The body of a rule, which may stand without brackets while it is one statement.
    fn body(&mut self, query: &Query) -> Result<()> {
        let bare = query.stmts.first().filter(|stmt| stmt.span.start == query.span.start);
        let bare = bare.filter(|stmt| !stmt.with_mods.is_empty());
        if let Some(stmt) = bare {
            let at = self.whole(&stmt.span).start;
            self.edits.push((at..at, "{ ".to_owned()));
        }
        self.query(query, None)?;
        if let Some(stmt) = bare {
            let at = self.whole(&stmt.span).end;
            self.edits.push((at..at, " }".to_owned()));
        }
        Ok(())
    }

    fn query(&mut self, query: &Query, mut under: Option<&mut Under>) -> Result<()> {
        for stmt in &query.stmts {
            match (stmt.with_mods.as_slice(), under.as_deref_mut()) {
                ([], under) => self.literal(&stmt.literal, under)?,
                (_, None) => self.statement(stmt)?,
                (_, Some(_)) => {
                    let what = "a `with` stands within what another `with` is for: give what it stands in a rule of its own";
                    return Err(self.fault(&stmt.span, what));
                }
            }
        }
        Ok(())
    }

    fn statement(&mut self, stmt: &LiteralStmt) -> Result<()> {
        let places = stmt.with_mods.iter().map(|with| self.place(with));
        let places = places.collect::<Result<Vec<_>>>()?;
        let now = places.contains(&Place::Now);
        let mut under = Under { asked: Asked::new(), order: Vec::new(), now };
        let mut values = Vec::new();
        self.literal(&stmt.literal, Some(&mut under))?;
        for with in &stmt.with_mods {
            let name = self.name();
            let from = range(&with.span).start;
            let behind = range(with.refr.span()).end;
            let word = self.words_from(behind).iter().find(|word| word.is_ident("as"));
            let to = word.map_or(behind, |word| word.at.end);
            let lines = self.text.text[from..to].matches('\n').count();
            self.edits.push((from..to, format!("; {name} ={}", "\n".repeat(lines))));
            self.expr(&with.r#as, None)?;
            values.push(name);
        }
        let end = self.whole(&stmt.span).end;
        for (target, name) in under.order {
            let number = self.asks.len();
            self.asks.push(Ask { target, places: places.clone() });
            let given = values.join(", ");
            let stop = format!("; {name} = {STOP}([{number}, {given}], \"with\")");
            self.edits.push((end..end, stop));
        }
        Ok(())
    }

    fn literal(&mut self, literal: &Literal, mut under: Option<&mut Under>) -> Result<()> {
        match literal {
            Literal::SomeVars { .. } => Ok(()),
            Literal::SomeIn { collection, .. } => self.expr(collection, under),
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expr(expr, under),
            Literal::Every { domain, query, .. } => {
                self.expr(domain, under.as_deref_mut())?;
                self.query(query, under)
            }
        }
    }

    fn expr(&mut self, expr: &Ref<Expr>, mut under: Option<&mut Under>) -> Result<()> {
        match &**expr {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                return self.reference(expr, under);
            }
            Expr::Call { fcn, params, span, .. } => {
                if under.is_some() && self.is_function(fcn, span)? {
                    let what = "calls a function that is no built-in one: give the call a rule of its own in the tests, and ask for that rule `with`";
                    return Err(self.fault(span, what));
                }
                if under.as_ref().is_some_and(|under| under.now) && path(fcn) == NOW {
                    let what = "`with time.now_ns` replaces it in the rules that are asked, not in a call that stands beside it: give the call a rule of its own";
                    return Err(self.fault(span, what));
                }
                for param in params {
                    self.expr(param, under.as_deref_mut())?;
                }
                return Ok(());
            }
            // What an assignment declares is no reference.
            Expr::AssignExpr { op: regorus::unstable::AssignOp::ColEq, rhs, .. } => {
                return self.expr(rhs, under);
            }
            _ => {}
        }
        let (mut exprs, mut queries) = (Vec::new(), Vec::new());
        within(expr, &mut exprs, &mut queries);
        for inner in exprs {
            self.expr(inner, under.as_deref_mut())?;
        }
        for query in queries {
            self.query(query, under.as_deref_mut())?;
        }
        Ok(())
    }

    /// A name, and the members behind it.
    fn reference(&mut self, expr: &Ref<Expr>, mut under: Option<&mut Under>) -> Result<()> {
        let chain = chain(expr);
        for (_, part) in &chain {
            if let Expr::RefBrack { index, .. } = &***part {
                self.expr(index, under.as_deref_mut())?;
            } else if !matches!(&***part, Expr::Var { .. } | Expr::RefDot { .. }) {
                self.expr(part, under.as_deref_mut())?;
            }
        }
        let Some(under) = under else { return Ok(()) };
        let Some((root, whole)) = self.resolved(expr)? else { return Ok(()) };
        let (target, length) = self.target(&whole, expr.span())?;
        // So many names stand for the first of the chain.
        let at = length.saturating_sub(root);
        let Some((_, part)) = chain.get(at) else { return Ok(()) };
        let rest = whole.iter().take(root).skip(length);
        let rest: String =
            rest.map(|name| format!("[{}]", serde_json::Value::from(&**name))).collect();
        let name = match under.asked.get(&target) {
            Some(name) => name.clone(),
            None => {
                let name = self.name();
                under.asked.insert(target.clone(), name.clone());
                under.order.push((target, name.clone()));
                name
            }
        };
        self.edits.push((range(part.span()), format!("{name}[0]{rest}")));
        Ok(())
    }

    /// The whole path of a reference, as far as its names stand there, and how many of it its first name is. None of a
    /// variable.
    fn resolved(&self, expr: &Ref<Expr>) -> Result<Option<(usize, Vec<String>)>> {
        let names = path(expr);
        let Some((first, rest)) = names.split_first() else { return Ok(None) };
        let is_variable = self.variables.contains(first);
        let root = match (&**first, self.imports.get(first)) {
            ("input" | "data", _) => vec![first.clone()],
            (_, Some(path)) => path.clone(),
            _ if self.known.has(&self.package, first) => {
                [&self.package[..], std::slice::from_ref(first)].concat()
            }
            _ => return Ok(None),
        };
        if is_variable {
            let what = format!(
                "`{first}` is a variable here, and a rule or an import as well: give the variable another name"
            );
            return Err(self.fault(expr.span(), &what));
        }
        Ok(Some((root.len(), [&root[..], rest].concat())))
    }

    /// What a path leads to, and by how many of its names.
    fn target(&self, path: &[String], span: &Span) -> Result<(Target, usize)> {
        if path.first().is_some_and(|root| root == "input") {
            return Ok((Target::Input, 1));
        }
        match self.known.find(path) {
            Found::Rule(length) if path[..length].iter().all(|name| is_name(name)) => {
                Ok((Target::Rule(path[..length].join(".")), length))
            }
            Found::Rule(_) => {
                Err(self.fault(span, "names a rule whose path holds more than words"))
            }
            Found::Data => Ok((Target::Data(path[1..].to_vec()), path.len())),
            Found::Function => Err(self.fault(span, "names a function without calling it")),
            Found::Several => {
                let what = "names more than one rule, or one that is computed: under `with` name each rule";
                Err(self.fault(span, what))
            }
        }
    }

    fn is_function(&self, fcn: &Ref<Expr>, span: &Span) -> Result<bool> {
        let Some((_, path)) = self.resolved(fcn)? else { return Ok(false) };
        if path.first().is_some_and(|root| root == "input") {
            return Err(self.fault(span, "calls what is no function"));
        }
        Ok(true)
    }

    fn place(&self, with: &WithModifier) -> Result<Place> {
        let names = path(&with.refr);
        if chain(&with.refr).len() != names.len() {
            return Err(self.fault(&with.span, "`with` takes a path of names"));
        }
        if names == NOW {
            return Ok(Place::Now);
        }
        let Some((_, path)) = self.resolved(&with.refr)? else {
            let what = format!(
                "`with {}`: only `input`, `data` that is no rule, and `time.now_ns` can be replaced",
                names.join(".")
            );
            return Err(self.fault(&with.span, &what));
        };
        if path[0] == "input" {
            return Ok(Place::Input(path[1..].to_vec()));
        }
        if self.known.holds(&path) {
            let what = format!(
                "`with {}` would replace rules: give them the `input` or the `data` with which they answer so",
                names.join(".")
            );
            return Err(self.fault(&with.span, &what));
        }
        Ok(Place::Data(path[1..].to_vec()))
    }

    /// Where something stands, with the quotes that it begins and ends with: to the parser they are outside.
    fn whole(&self, span: &Span) -> Range<usize> {
        let mut at = range(span);
        let quote = |at: usize| matches!(self.text.text.as_bytes().get(at), Some(b'"' | b'`'));
        let first = self.words_from(at.start).first();
        let last = self.words.partition_point(|word| word.at.end < at.end);
        if first.is_some_and(Word::is_text) && quote(at.start.wrapping_sub(1)) {
            at.start -= 1;
        }
        if self.words.get(last).is_some_and(Word::is_text) && quote(at.end) {
            at.end += 1;
        }
        at
    }

    fn words_from(&self, start: usize) -> &'w [Word<'w>] {
        let words = self.words;
        &words[words.partition_point(|word| word.at.start < start)..]
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("{}{}", self.fresh.0, self.names - 1)
    }

    fn fault(&self, span: &Span, what: &str) -> Fault {
        self.text.fault(line(span), what.to_owned())
    }
}

pub(in crate::rego) fn is_name(name: &str) -> bool {
    name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// The expressions of a rule's heads, and its bodies.
pub(super) fn parts<'r>(
    rule: &'r Rule,
    tell: &mut impl FnMut(&'r Ref<Expr>),
    bodies_of: &mut Vec<&'r Query>,
) {
    let Rule::Spec { head, bodies, .. } = rule else { return };
    match head {
        RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
            assign.iter().for_each(|assign| tell(&assign.value));
        }
        RuleHead::Set { key, .. } => key.iter().for_each(&mut *tell),
    }
    for body in bodies {
        body.assign.iter().for_each(|assign| tell(&assign.value));
        bodies_of.push(&body.query);
    }
}

/// What stands directly within an expression.
pub(super) fn within<'r>(
    expr: &'r Ref<Expr>,
    exprs: &mut Vec<&'r Ref<Expr>>,
    queries: &mut Vec<&'r Query>,
) {
    match &**expr {
        Expr::Array { items, .. } | Expr::Set { items, .. } => exprs.extend(items),
        Expr::Object { fields, .. } => {
            exprs.extend(fields.iter().flat_map(|(_, name, value)| [name, value]));
        }
        Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
            exprs.push(term);
            queries.push(query);
        }
        Expr::ObjectCompr { key, value, query, .. } => {
            exprs.extend([key, value]);
            queries.push(query);
        }
        Expr::Call { params, .. } => exprs.extend(params),
        Expr::UnaryExpr { expr, .. } => exprs.push(expr),
        Expr::RefDot { refr, .. } => exprs.push(refr),
        Expr::RefBrack { refr, index, .. } => exprs.extend([refr, index]),
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => exprs.extend([lhs, rhs]),
        Expr::Membership { key, value, collection, .. } => {
            exprs.extend(key.iter().chain([value, collection]));
        }
        _ => {}
    }
}
