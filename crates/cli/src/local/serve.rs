//! `countersign serve` and `countersign migrate`.

use countersign_ground::config::Config;
use countersign_server::features::operators::bootstrap::BootstrapToken;
use countersign_server::{Environs, Server};

use super::logs::Logs;
use super::signals::Signals;
use super::{load, runtime};
use crate::output::Output;
use crate::settings::{self, MigrateArgs, ServeArgs};

pub(crate) fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let config = load(&args.sources)?;
    let logs = Logs::start(&config)?;
    announce(&config);
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let server = tokio::select! {
            started = Server::start(config, Environs::default()) => started?,
            () = signals.any() => return Ok(()),
        };
        tell(&server);
        while signals.next().await {
            again(&args.sources, &logs, &server).await;
        }
        tracing::info!("stopping: finishing what has begun; a second signal ends it at once");
        tokio::select! {
            () = server.stop() => tracing::info!("stopped"),
            () = signals.any() => tracing::warn!("stopped before everything was finished"),
        }
        Ok(())
    })
}

/// Reads every file again: the role matrix, the certificates, and the settings, of which those of
/// the log take effect.
async fn again(sources: &settings::Sources, logs: &Logs, server: &Server) {
    tracing::info!("SIGHUP: reading the files again");
    server.reread().await;
    let config = match load(sources) {
        Ok(config) => config,
        Err(faults) => return tracing::error!("nothing was changed: {faults}"),
    };
    if let Err(error) = logs.follow(&config) {
        tracing::error!(%error, "the log stays as it was");
    }
    for (new, old) in config.effective.iter().zip(&server.app.config.effective) {
        if !new.name.starts_with("LOG_") && new.fingerprint != old.fingerprint {
            tracing::warn!(name = new.name, "has changed, and takes effect at the next start");
        }
    }
}

pub(crate) fn migrate(args: MigrateArgs, output: Output) -> anyhow::Result<()> {
    let config = load(&args.sources)?;
    let done = runtime()?.block_on(countersign_server::migrate(&config, &Environs::default()))?;
    for name in &done.applied {
        output.done(&format!("applied {name}"))?;
    }
    let total = done.already + done.applied.len();
    Ok(output.done(&format!("the schema is up to date, {total} steps"))?)
}

fn announce(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for one in &config.effective {
        let value = one.value.as_deref().unwrap_or("(unset)");
        tracing::info!(name = one.name, value, source = %one.source, "setting");
    }
}

fn tell(server: &Server) {
    match &server.bootstrap {
        BootstrapToken::Made(file) => {
            tracing::info!(file = %file.display(), "the first operator's token was made");
            show_once(file);
        }
        BootstrapToken::File(file) => {
            tracing::info!(file = %file.display(), "the first operator's token is in this file");
        }
        BootstrapToken::Configured => {}
        BootstrapToken::Ended => tracing::warn!(
            "BOOTSTRAP_ADMIN_TOKEN was revoked and stays so; unset it, or set a new one"
        ),
        BootstrapToken::Gone => tracing::info!(
            "the first operator's token was revoked; \
             set BOOTSTRAP_ADMIN_TOKEN to give them a new one"
        ),
        BootstrapToken::Elsewhere => tracing::info!(
            "the first operator's token was made at an earlier start; \
             set BOOTSTRAP_ADMIN_TOKEN to give it a new one"
        ),
    }
    if let Some(address) = server.metrics_address {
        tracing::info!(%address, "metrics are here");
    }
    tracing::info!(address = %server.address, issuer = &*server.app.law.issuer, "ready");
}

/// On a terminal somebody is looking; a log file must never hold it.
fn show_once(file: &std::path::Path) {
    use std::io::IsTerminal;
    if std::io::stderr().is_terminal()
        && let Ok(token) = std::fs::read_to_string(file)
    {
        eprintln!("\n  export COUNTERSIGN_TOKEN={}\n", token.trim());
    }
}
