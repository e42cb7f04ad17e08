//! `countersign quickstart`: the main job, step by step, on a server that starts for it.

mod steps;

use std::path::{Path, PathBuf};

use anyhow::Context;
use countersign_ground::config::{Config, Sources};
use countersign_ground::record::verify::Trust;
use countersign_server::features::operators::bootstrap::BootstrapToken;
use countersign_server::{Environs, Server, StartError};

use super::signals::Signals;
use super::{Faults, runtime};
use crate::audit::verify;
use crate::output::{Output, line};
use crate::settings::QuickstartArgs;

pub(crate) fn run(args: QuickstartArgs) -> anyhow::Result<()> {
    let folder = args.dir.unwrap_or_else(|| PathBuf::from("countersign-data"));
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let server = start(&folder).await?;
        let (BootstrapToken::Made(file) | BootstrapToken::File(file)) = &server.bootstrap else {
            anyhow::bail!("`{}` was set up by hand; give `--dir` another folder", folder.display());
        };
        let token = std::fs::read_to_string(file)
            .with_context(|| format!("can't read the operator's token in `{}`", file.display()))?;
        let base = format!("http://{}", server.address);
        line(&format!(
            "Countersign is running at {base}, its data in {}.\n\
             The first operator's token is in {}; in the commands below it is $TOKEN:\n\n  \
             export TOKEN=$(cat {})\n",
            folder.display(),
            file.display(),
            file.display()
        ))?;
        let shown = match steps::show(&base, token.trim()).await {
            Ok(()) => verify(&server, &folder).await,
            Err(error) => Err(error),
        };
        if shown.is_err() || args.once {
            server.stop().await;
            return shown;
        }
        line(&format!(
            "\nThe server keeps running at {base}; its API is described at {base}/openapi.json.\n\
             Stop it with Ctrl-C. `countersign serve` starts it again on the same data.",
        ))?;
        signals.any().await;
        server.stop().await;
        Ok(())
    })
}

/// The last step: nobody has to be believed.
async fn verify(server: &Server, folder: &Path) -> anyhow::Result<()> {
    let database = format!("sqlite://{}", folder.join("countersign.db").display());
    line(&format!(
        "\n9. Nothing in the record can be changed unseen: it is sealed every second, and anybody \
         can verify it\n   countersign audit verify --set DATABASE_URL={database}"
    ))?;
    server.seal().await?;
    let report = verify::database(&config(folder, 0)?.database, &Trust::default()).await?;
    line(&format!(
        "   → {} events under {} seal(s), as they were sealed",
        report.events, report.seals
    ))?;
    if report.is_good() { Ok(()) } else { verify::tell(&report, Output::Table) }
}

/// Only what a trial needs, whatever the environment says.
fn config(folder: &Path, port: u16) -> anyhow::Result<Config> {
    let database = format!("sqlite://{}", folder.join("countersign.db").display());
    let set = |name: &str, value: String| (name.to_owned(), value);
    let flags = vec![
        set("DATABASE_URL", database),
        set("PORT", port.to_string()),
        // Small and quick; RS256 is the default for compatibility with older verifiers.
        set("JWT_ALG", "ES256".to_owned()),
    ];
    Config::load(&Sources { flags, ..Sources::default() }).map_err(|faults| Faults(faults).into())
}

/// On the port that everybody expects, unless somebody has it.
async fn start(folder: &Path) -> anyhow::Result<Server> {
    match Server::start(config(folder, 3000)?, Environs::default()).await {
        Err(StartError::Listen(..)) => {
            Ok(Server::start(config(folder, 0)?, Environs::default()).await?)
        }
        started => Ok(started?),
    }
}
