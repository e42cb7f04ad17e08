//! How another document comes into force: by its file, by an upload, or because another node took one.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Tx};
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;
use countersign_ground::text::Text;

use super::{DocumentError, Kind, Loaded, Origin, Source, load, store};
use crate::app::App;
use crate::law::change::Changed;
use crate::law::permit::Permit;

/// What may still refuse a document, as the transaction sees it that puts it in force.
pub type Admitted<'t> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 't>>;

/// A kind of document that a running server decides by.
pub trait Governing: Kind {
    /// What the record calls it that another one is in force.
    const EVENT: &'static str;
    /// What was changed, in the record.
    const RESOURCE: &'static str;

    /// What other nodes are told; nothing where each has its own.
    fn changed() -> Option<Changed>;

    /// Where the one in force comes from.
    fn origin(app: &App) -> &Origin;

    /// The one in force.
    fn in_force(app: &App) -> Option<Arc<Self>>;

    /// Puts another one in force.
    fn set(app: &App, next: Arc<Self>);

    /// Tells the record what it is that came, and in whose place.
    fn tell(&self, former: Option<&Self>, event: &mut Event);

    /// Refuses one that must not come into force.
    fn admit<'t>(&'t self, _: &'t mut Tx, _: Source, _: Time) -> Admitted<'t> {
        Box::pin(async { Ok(()) })
    }
}

/// Puts a document in force, on every node if it was uploaded: then `text` is kept.
///
/// # Errors
/// When it must not come into force, or the database fails.
pub async fn put<K: Governing, A: Send + Sync + 'static>(
    app: &App,
    permit: Permit<A>,
    loaded: Loaded<K>,
    text: Option<&[u8]>,
) -> Result<Arc<K>, Problem> {
    let now = app.clock.now();
    let Loaded { document, source, version } = loaded;
    let stored = match text {
        Some(text) => Some(store::store(&app.db, K::NAME, text).await?),
        None => None,
    };
    let mut event = app.event(K::EVENT, now);
    event.resource = Some(K::RESOURCE.into());
    document.tell(K::in_force(app).as_deref(), &mut event);
    let next = AssertUnwindSafe(Arc::clone(&document));
    let input = (permit, next, event, AssertUnwindSafe(app.clone()));
    app.db
        .write(input, move |tx, (permit, next, event, app)| {
            Box::pin(async move {
                next.admit(tx, source, now).await?;
                let mut version = version;
                if let Some(stored) = stored {
                    let (kind, hash) = (K::NAME, next.hash());
                    version = store::publish(tx, kind, stored, permit.actor(), hash, now).await?;
                    if let Some(changed) = K::changed() {
                        changed.announce(tx);
                    }
                }
                tx.record(permit.sign(event.clone()).leaf());
                let (app, next) = (App::clone(app), Arc::clone(next));
                tx.after_commit(move || {
                    K::origin(&app).replace(source, version, now, || K::set(&app, next));
                });
                Ok::<_, Problem>(())
            })
        })
        .await?;
    Ok(document)
}

/// Takes what was uploaded, for whoever `permit` is.
///
/// # Errors
/// When it can't be used, or a file governs.
pub async fn upload<K: Governing, A: Send + Sync + 'static>(
    app: &App,
    permit: Permit<A>,
    text: Text,
) -> Result<Arc<K>, Problem> {
    let (document, text) = super::parsed::<K>(text).await?;
    let loaded = Loaded { document, source: Source::Uploaded, version: 0 };
    put(app, permit, loaded, Some(text.bytes())).await
}

/// Reads the one again that should be in force, for whoever `permit` is; `None` when there is none.
///
/// # Errors
/// When it can't be read or used: the old one stays in force.
pub async fn again<K: Governing, A: Send + Sync + 'static>(
    app: &App,
    permit: Permit<A>,
) -> Result<Option<Arc<K>>, Problem> {
    match load::<K>(K::origin(app).file.as_deref(), &app.db).await? {
        Some(loaded) => put(app, permit, loaded, None).await.map(Some),
        None => Ok(None),
    }
}

/// Takes over what was uploaded meanwhile, without a word.
///
/// # Errors
/// When the database fails.
pub async fn remember<K: Governing>(app: &App) -> db::Result<()> {
    let origin = K::origin(app);
    // A node is told of its own uploads, too.
    if origin.file.is_some() || store::newest_version(&app.db, K::NAME).await? <= origin.version() {
        return Ok(());
    }
    match load::<K>(None, &app.db).await {
        Ok(Some(loaded)) => {
            let set = || K::set(app, loaded.document);
            origin.replace(loaded.source, loaded.version, app.clock.now(), set);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(DocumentError::Database(error)) => Err(error),
        Err(other) => Err(db::Error::Query(other.to_string())),
    }
}
