//! `countersign config`.

use countersign_ground::config::{Config, SETTINGS};
use serde_json::{Value, json};

use super::{Faults, load};
use crate::output::Output;
use crate::settings::{ConfigArgs, ConfigCommand};

pub(crate) fn run(args: ConfigArgs, output: Output) -> anyhow::Result<()> {
    let config = load(&args.sources)?;
    for warning in &config.warnings {
        crate::output::note(&format!("warning: {warning}"));
    }
    if matches!(args.command, Some(ConfigCommand::Check)) {
        // What the settings name must be usable, too.
        let faults = countersign_server::check(&config);
        if !faults.is_empty() {
            return Err(Faults(faults).into());
        }
        return Ok(output.done("the configuration can be used")?);
    }
    crate::effective::print(&json!({ "data": effective(&config) }), output)
}

fn effective(config: &Config) -> Vec<Value> {
    let meaning = |name: &str| {
        SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.meaning)
    };
    let values = config.effective.iter().map(|one| {
        json!({
            "name": one.name, "value": one.value, "source": one.source,
            "meaning": meaning(one.name),
        })
    });
    values.collect()
}
