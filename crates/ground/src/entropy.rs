//! Randomness, passed in.

use std::sync::{Arc, Mutex, PoisonError};

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Where random bytes come from.
#[derive(Clone)]
pub enum Entropy {
    /// The operating system: directly for secrets, through a generator per thread for ids.
    System,
    /// The same bytes for the same seed: for tests.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Entropy {
    /// A generator whose output the seed determines.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// `N` fresh bytes for ids and nonces: unpredictable, and cheap enough for every request.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes randomness")]
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            Self::System => rand::rng().fill_bytes(&mut bytes),
            Self::Seeded(rng) => {
                rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
            }
        }
        bytes
    }

    /// 32 fresh bytes for a secret or a key, from the operating system itself.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        match self {
            Self::System => system(&mut bytes),
            Self::Seeded(_) => bytes = self.bytes(),
        }
        bytes
    }
}

#[expect(clippy::expect_used, reason = "aws-lc aborts before it returns bytes that are not random")]
fn system(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::System => "Entropy::System",
            Self::Seeded(_) => "Entropy::Seeded",
        })
    }
}
