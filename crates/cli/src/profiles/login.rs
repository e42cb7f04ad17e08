//! `countersign login` and `logout`.

use anyhow::bail;
use secrecy::SecretString;
use serde_json::Value;

use super::{Name, Profile, ProfileError, Store};
use crate::client::{Client, Connection, Server};
use crate::output::{self, Output};
use crate::{input, whoami};

/// Nothing is saved before the server has said whose token it is.
pub(crate) async fn login(connection: &Connection, output: Output) -> anyhow::Result<()> {
    let store = Store::of_user()?;
    let profiles = store.read()?;
    let name = connection.profile.clone().or_else(|| profiles.default.clone());
    let name = name.unwrap_or_else(Name::first);
    let known = profiles.profiles.get(&name).map(|profile| profile.url.clone());
    let url = connection.url.clone().or(known).unwrap_or_default();

    let token = token(connection, &url)?;
    let client = Client::new(url.clone(), Some(&token), connection.tenant.as_ref())?;
    let caller = whoami::ask(&client).await?;
    if matches!(caller["type"].as_str(), None | Some("anonymous")) {
        bail!("{url} does not say whose token this is");
    }

    // Once more: while somebody typed, another login may have been saved.
    let mut profiles = store.read()?;
    let its_own = || caller["tenant"].as_str()?.parse().ok();
    let tenant = connection.tenant.clone().or_else(its_own);
    profiles.profiles.insert(name.clone(), Profile { url, token, tenant });
    let default = profiles.default.get_or_insert_with(|| name.clone()).clone();
    store.write(&profiles)?;
    greet(&caller, &name, &default, output)?;
    if connection.has_token_of_its_own() {
        output::note("the token of --token or COUNTERSIGN_TOKEN wins over any profile's");
    }
    Ok(())
}

fn token(connection: &Connection, url: &Server) -> anyhow::Result<SecretString> {
    if url.is_overheard() {
        output::note(&format!("warning: whoever is between here and {url} can read the token"));
    }
    match &connection.token_file {
        Some(path) => input::secret_file(path),
        None => input::secret_piped_or_asked(&format!("token for {url}: ")),
    }
}

fn greet(caller: &Value, name: &Name, default: &Name, output: Output) -> anyhow::Result<()> {
    output.print(caller, whoami::for_people)?;
    output::note(&if name == default {
        format!("the profile {name} is saved, and used when none is named")
    } else {
        format!(
            "the profile {name} is saved; `countersign profiles use {name}` makes it the default"
        )
    });
    Ok(())
}

/// Forgets a profile here. The server is not asked: it may be gone, and others may use the token.
pub(crate) fn logout(connection: &Connection, output: Output) -> anyhow::Result<()> {
    let store = Store::of_user()?;
    let mut profiles = store.read()?;
    let Some((name, _)) = profiles.take(connection.profile.clone())? else {
        return Err(ProfileError::NoDefault.into());
    };
    profiles.default = profiles.default.filter(|default| *default != name);
    store.write(&profiles)?;
    output.done(&format!("the profile {name} is removed"))?;
    output::note("its token works until it expires or is revoked");
    Ok(())
}
