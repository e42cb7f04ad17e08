//! Log lines: for people on a terminal, else one JSON object a line.

use std::io::IsTerminal;

use countersign_ground::config::{Config, LogFormat};
use tracing_subscriber::EnvFilter;

/// Sends log lines to standard error.
pub(super) fn start(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_level)?;
    let terminal = std::io::stderr().is_terminal();
    let pretty = match config.log_format {
        Some(format) => format == LogFormat::Pretty,
        None => terminal,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    if pretty {
        lines.init();
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    }
    Ok(())
}
