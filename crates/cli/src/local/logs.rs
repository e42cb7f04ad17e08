//! Log lines: for people on a terminal, else one JSON object a line.

use std::io::IsTerminal;

use anyhow::Context;
use countersign_ground::config::{Config, LogFormat};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

type Filtered = tracing_subscriber::layer::Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Lines = Box<dyn Layer<Filtered> + Send + Sync>;

/// What log lines are written by; another filter or form may follow while the server runs.
pub(super) struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    lines: reload::Handle<Lines, Filtered>,
}

impl Logs {
    /// Sends log lines to standard error.
    pub(super) fn start(config: &Config) -> anyhow::Result<Self> {
        let (filter, filter_handle) = reload::Layer::new(EnvFilter::try_new(&config.log_level)?);
        let (lines, lines_handle) = reload::Layer::new(lines(config));
        tracing_subscriber::registry().with(filter).with(lines).init();
        Ok(Self { filter: filter_handle, lines: lines_handle })
    }

    /// Follows another configuration.
    pub(super) fn follow(&self, config: &Config) -> anyhow::Result<()> {
        self.filter.reload(EnvFilter::try_new(&config.log_level)?).context("LOG_LEVEL")?;
        self.lines.reload(lines(config)).context("LOG_FORMAT")
    }
}

fn lines(config: &Config) -> Lines {
    let terminal = std::io::stderr().is_terminal();
    let pretty = match config.log_format {
        Some(format) => format == LogFormat::Pretty,
        None => terminal,
    };
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
    if pretty {
        lines.boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    }
}
