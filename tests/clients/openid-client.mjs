// The library openid-client as an agent would use it, and jose as a resource server would.
// Allowed plain HTTP, which it refuses otherwise; else as it comes.
import assert from 'node:assert/strict'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import * as openid from 'openid-client'
import * as env from './check.mjs'
import { altered, check, refusal } from './check.mjs'

const discover = (authentication, { id = env.CLIENT_ID, algorithm = 'oauth2' } = {}) =>
  openid.discovery(new URL(env.ISSUER), id, undefined, authentication, {
    algorithm,
    execute: [openid.allowInsecureRequests],
    timeout: 10,
  })

for (const [algorithm, path] of [['oidc', 'openid-configuration'], ['oauth2', 'oauth-authorization-server']]) {
  await check(`discovery at /.well-known/${path}`, async () => {
    const found = (await discover(openid.ClientSecretPost(env.CLIENT_SECRET), { algorithm })).serverMetadata()
    assert.equal(found.issuer, env.ISSUER)
    assert.ok(found.token_endpoint && found.introspection_endpoint && found.revocation_endpoint && found.jwks_uri)
    assert.ok(found.token_endpoint_auth_methods_supported.includes('client_secret_post'))
  })
}

for (const [method, authentication] of [
  ['client_secret_post', openid.ClientSecretPost],
  ['client_secret_basic', openid.ClientSecretBasic],
]) {
  const client = await discover(authentication(env.CLIENT_SECRET))

  await check(`${method}: a token with every scope of the agent`, async () => {
    const token = await openid.clientCredentialsGrant(client)
    assert.equal(token.token_type, 'bearer')
    assert.deepEqual(token.scope.split(' ').sort(), ['agents:read', 'tokens:read'])
    assert.ok(token.expiresIn() > 0)
  })

  await check(`${method}: a token for one scope and two resources, verified with the key set`, async () => {
    const parameters = [['scope', 'agents:read'], ['resource', env.ISSUER], ['resource', env.RESOURCE]]
    const token = await openid.clientCredentialsGrant(client, new URLSearchParams(parameters))
    assert.equal(token.scope, 'agents:read')
    const keys = createRemoteJWKSet(new URL(client.serverMetadata().jwks_uri))
    const expected = { issuer: env.ISSUER, audience: env.RESOURCE, typ: 'at+jwt', algorithms: [env.ALG] }
    const { payload } = await jwtVerify(token.access_token, keys, expected)
    assert.deepEqual(payload.aud, [env.ISSUER, env.RESOURCE])
    assert.equal(payload.sub, env.CLIENT_ID)
    assert.equal(payload.scope, 'agents:read')
    await refusal(jwtVerify(altered(token.access_token), keys, expected), errors.JWSSignatureVerificationFailed)
  })

  await check(`${method}: introspection, revocation, then introspection says inactive`, async () => {
    const { access_token: token } = await openid.clientCredentialsGrant(client)
    const live = await openid.tokenIntrospection(client, token, { token_type_hint: 'access_token' })
    assert.equal(live.active, true)
    assert.equal(live.client_id, env.CLIENT_ID)
    await openid.tokenRevocation(client, token, { token_type_hint: 'access_token' })
    assert.deepEqual(await openid.tokenIntrospection(client, token), { active: false })
  })

  for (const [error, parameters] of [
    ['invalid_scope', { scope: 'nobody:granted' }],
    ['invalid_target', { resource: 'https://elsewhere.example' }],
  ]) {
    await check(`${method}: ${Object.values(parameters)} is refused with ${error}`, async () => {
      const reason = await refusal(openid.clientCredentialsGrant(client, parameters), openid.ResponseBodyError)
      assert.deepEqual([reason.status, reason.error], [400, error])
    })
  }

  await check(`${method}: a suspended agent is refused with unauthorized_client`, async () => {
    const suspended = await discover(authentication(env.SUSPENDED_SECRET), { id: env.SUSPENDED_ID })
    const reason = await refusal(openid.clientCredentialsGrant(suspended), openid.ResponseBodyError)
    assert.deepEqual([reason.status, reason.error], [403, 'unauthorized_client'])
  })
}

await check('client_secret_post: a wrong secret is refused with invalid_client', async () => {
  const client = await discover(openid.ClientSecretPost(env.WRONG_SECRET))
  const reason = await refusal(openid.clientCredentialsGrant(client), openid.ResponseBodyError)
  assert.deepEqual([reason.status, reason.error], [401, 'invalid_client'])
})

await check('client_secret_basic: a wrong secret is challenged, with invalid_client in the body', async () => {
  const client = await discover(openid.ClientSecretBasic(env.WRONG_SECRET))
  const reason = await refusal(openid.clientCredentialsGrant(client), openid.WWWAuthenticateChallengeError)
  assert.deepEqual([reason.status, reason.cause[0].scheme], [401, 'basic'])
  assert.equal((await reason.response.json()).error, 'invalid_client')
})
