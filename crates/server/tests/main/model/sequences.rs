//! How sequences of calls are made up: mostly calls that mean something, by somebody who may.

use proptest::prelude::*;

use super::calls::{
    By, Call, Change, Client, Life, Named, OperatorChange, ROLES, Resource, SCOPES, Secret, Step,
    Tag, Wanted, Within,
};

/// Sequences of at most so many calls.
pub fn sequences(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..=most)
}

fn step() -> impl Strategy<Value = Step> {
    let with = |((by, within), call)| Step { by, within, call };
    let everywhere = prop_oneof![
        22 => about_agents(), 18 => about_credentials(), 40 => about_tokens(),
        18 => about_operators(), 8 => clock().prop_map(Call::Clock), 1 => Just(Call::Housekeeping),
        1 => any::<u8>().prop_map(Call::Insist),
    ];
    prop_oneof![
        108 => (caller(), everywhere).prop_map(with),
        4 => (caller(), about_the_house()).prop_map(with),
        6 => (infra(), about_the_house()).prop_map(with),
    ]
}

/// Those who cross tenants.
fn infra() -> impl Strategy<Value = (By, Within)> {
    let within = prop_oneof![
        6 => Just(Within::Fitting), 1 => Just(Within::First), 1 => Just(Within::Second),
        1 => Just(Within::Nothing)
    ];
    (0u8..2, within).prop_map(|(which, within)| (By::Operator(which, 0), within))
}

fn caller() -> impl Strategy<Value = (By, Within)> {
    use Within::{First, Nothing, Second, Unknown};
    let anywhere = || {
        prop_oneof![
            12 => Just(Nothing), 1 => Just(First), 1 => Just(Second), 1 => Just(Unknown)
        ]
    };
    let other = prop_oneof![2 => Just(2u8), 2 => Just(4), 1 => Just(3), 1 => Just(5), 4 => 6u8..16];
    prop_oneof![
        12 => infra(),
        18 => Just((By::Fitting, Nothing)),
        10 => (other, 0u8..3, anywhere())
            .prop_map(|(which, token, within)| (By::Operator(which, token), within)),
        14 => (any::<u8>(), anywhere()).prop_map(|(token, within)| (By::Agent(token), within)),
        1 => anywhere().prop_map(|within| (By::Machine, within)),
        1 => anywhere().prop_map(|within| (By::Nobody, within)),
        1 => prop_oneof![Just(By::WrongMachine), Just(By::Garbage)].prop_map(|by| (by, Nothing)),
    ]
}

fn clock() -> impl Strategy<Value = i64> {
    let forth = [1, 400, 1_000, 4_600, 59_000, 60_000, 301_000, 3_599_000, 3_600_000, 90_000_000];
    let back = [-1, -400, -1_000, -2_000, -5_000, -61_000];
    prop_oneof![3 => prop::sample::select(forth.to_vec()), 2 => prop::sample::select(back.to_vec())]
}

fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![5 => Just(Tag::Nothing), 2 => Just(Tag::Right), 1 => Just(Tag::Stale), 1 => Just(Tag::Any)]
}

fn life() -> impl Strategy<Value = Life> {
    let seconds = prop::sample::select(vec![1, 5, 60, 4000]).prop_map(Life::Seconds);
    prop_oneof![5 => Just(Life::Forever), 3 => seconds, 1 => Just(Life::Past)]
}

fn scopes() -> impl Strategy<Value = u8> {
    0..u8::try_from(SCOPES.len()).unwrap()
}

fn roles() -> impl Strategy<Value = u8> {
    0..u8::try_from(ROLES.len()).unwrap()
}

fn about_agents() -> impl Strategy<Value = Call> {
    let change = prop_oneof![
        3 => Just(Change::Suspend), 4 => Just(Change::Activate), 1 => Just(Change::Decommission),
        4 => scopes().prop_map(Change::Scopes), 1 => scopes().prop_map(Change::SuspendWithScopes),
        1 => any::<bool>().prop_map(Change::Resources), 1 => Just(Change::Owner),
        1 => Just(Change::Immutable),
    ];
    prop_oneof![
        5 => (0u8..14, prop::option::weighted(0.8, scopes()), any::<bool>())
            .prop_map(|(email, scopes, resources)| Call::CreateAgent { email, scopes, resources }),
        1 => Just(Call::ListAgents),
        2 => any::<u8>().prop_map(Call::ShowAgent),
        9 => (any::<u8>(), change, tag())
            .prop_map(|(agent, change, tag)| Call::PatchAgent { agent, change, tag }),
        1 => (any::<u8>(), tag()).prop_map(|(agent, tag)| Call::DeleteAgent { agent, tag }),
        2 => any::<u8>().prop_map(Call::Quarantine),
        3 => any::<u8>().prop_map(Call::Reinstate),
    ]
}

fn about_credentials() -> impl Strategy<Value = Call> {
    let grace = prop_oneof![
        3 => Just(None),
        4 => prop::sample::select(vec![0, 1, 5, 60, 604_800, 604_801]).prop_map(Some),
    ];
    prop_oneof![
        6 => (any::<u8>(), life()).prop_map(|(agent, life)| Call::CreateCredential { agent, life }),
        1 => any::<u8>().prop_map(Call::ListCredentials),
        5 => (any::<u8>(), any::<u8>(), grace).prop_map(|(agent, credential, grace)| {
            Call::RotateCredential { agent, credential, grace }
        }),
        2 => (any::<u8>(), any::<u8>())
            .prop_map(|(agent, credential)| Call::RevokeCredential { agent, credential }),
    ]
}

fn client() -> impl Strategy<Value = Client> {
    let secret = prop_oneof![
        12 => Just(Secret::Last), 3 => Just(Secret::Before), 1 => any::<u8>().prop_map(Secret::Nth),
        1 => Just(Secret::Wrong),
    ];
    (any::<u8>(), any::<u8>(), secret, any::<bool>(), any::<bool>()).prop_map(
        |(agent, credential, secret, basic, alias)| Client {
            agent,
            credential,
            secret,
            basic,
            alias,
        },
    )
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![
        12 => any::<u8>().prop_map(Named::Token), 1 => any::<u8>().prop_map(Named::Operators),
        1 => Just(Named::Garbage),
    ]
}

fn about_tokens() -> impl Strategy<Value = Call> {
    let wanted = prop_oneof![
        8 => Just(Wanted::All), 3 => any::<u8>().prop_map(Wanted::One),
        1 => any::<u8>().prop_map(Wanted::Any), 1 => Just(Wanted::Malformed),
    ];
    let resource = prop_oneof![
        8 => Just(Resource::Nothing), 1 => Just(Resource::Issuer), 1 => Just(Resource::Mail),
        1 => Just(Resource::Files), 1 => Just(Resource::Both),
    ];
    let by_client = || prop::option::weighted(0.4, client());
    prop_oneof![
        6 => (client(), wanted, resource)
            .prop_map(|(client, scope, resource)| Call::Token { client, scope, resource }),
        3 => (named(), by_client()).prop_map(|(token, client)| Call::Introspect { token, client }),
        2 => (named(), by_client()).prop_map(|(token, client)| Call::RevokeToken { token, client }),
    ]
}

fn about_operators() -> impl Strategy<Value = Call> {
    let level = || prop::option::weighted(0.3, 1u8..=5);
    let change = prop_oneof![
        4 => roles().prop_map(OperatorChange::Roles), 2 => level().prop_map(OperatorChange::Level),
        1 => (roles(), 1u8..=5).prop_map(|(roles, level)| OperatorChange::RolesAndLevel(roles, level)),
        1 => (0u8..12).prop_map(OperatorChange::Email), 1 => Just(OperatorChange::Name),
    ];
    prop_oneof![
        5 => (0u8..12, roles(), level())
            .prop_map(|(email, roles, level)| Call::CreateOperator { email, roles, level }),
        1 => Just(Call::ListOperators),
        1 => any::<u8>().prop_map(Call::ShowOperator),
        5 => (any::<u8>(), change, tag())
            .prop_map(|(operator, change, tag)| Call::PatchOperator { operator, change, tag }),
        2 => (any::<u8>(), tag()).prop_map(|(operator, tag)| Call::DeleteOperator { operator, tag }),
        5 => (any::<u8>(), life())
            .prop_map(|(operator, life)| Call::CreateOperatorToken { operator, life }),
        1 => any::<u8>().prop_map(Call::ListOperatorTokens),
        3 => (any::<u8>(), any::<u8>())
            .prop_map(|(operator, token)| Call::RevokeOperatorToken { operator, token }),
    ]
}

/// Tenants, keys, and the rest.
fn about_the_house() -> impl Strategy<Value = Call> {
    prop_oneof![
        1 => (0u8..3).prop_map(Call::CreateTenant),
        1 => (0u8..4).prop_map(Call::ShowTenant),
        4 => (0u8..4, prop::option::weighted(0.9, any::<bool>()))
            .prop_map(|(tenant, free)| Call::PatchTenant { tenant, free }),
        1 => Just(Call::ListKeys),
        3 => any::<bool>().prop_map(|force| Call::RotateKeys { force }),
        1 => any::<u8>().prop_map(Call::RevokeKey),
        1 => Just(Call::RbacInfo),
        3 => Just(Call::WhoAmI),
    ]
}
