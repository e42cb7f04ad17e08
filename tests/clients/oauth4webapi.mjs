// The library oauth4webapi as an agent and as a resource server would use it.
// Allowed plain HTTP, which it refuses otherwise; else as it comes.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import * as env from './check.mjs'
import { altered, check, refusal } from './check.mjs'

const options = () => ({ [oauth.allowInsecureRequests]: true, signal: AbortSignal.timeout(10_000) })

async function discover(algorithm) {
  const issuer = new URL(env.ISSUER)
  const response = await oauth.discoveryRequest(issuer, { algorithm, ...options() })
  return oauth.processDiscoveryResponse(issuer, response)
}

for (const [algorithm, path] of [['oidc', 'openid-configuration'], ['oauth2', 'oauth-authorization-server']]) {
  await check(`discovery at /.well-known/${path}`, async () => {
    const found = await discover(algorithm)
    assert.equal(found.issuer, env.ISSUER)
    assert.ok(found.token_endpoint && found.introspection_endpoint && found.revocation_endpoint && found.jwks_uri)
  })
}

const server = await discover('oauth2')
const agent = { client_id: env.CLIENT_ID }

async function token(authentication, parameters = {}, client = agent) {
  const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, options())
  return oauth.processClientCredentialsResponse(server, client, response)
}

async function introspected(authentication, accessToken) {
  const response = await oauth.introspectionRequest(server, agent, authentication, accessToken, options())
  return oauth.processIntrospectionResponse(server, agent, response)
}

/** A resource server's look at a request that bears the token. */
function validated(accessToken, audience) {
  const request = new Request(audience, { headers: { authorization: `Bearer ${accessToken}` } })
  const signingAlgorithms = [env.ALG]
  return oauth.validateJwtAccessToken(server, request, audience, { signingAlgorithms, ...options() })
}

for (const [method, authenticate] of [
  ['client_secret_post', oauth.ClientSecretPost],
  ['client_secret_basic', oauth.ClientSecretBasic],
]) {
  const authentication = authenticate(env.CLIENT_SECRET)

  await check(`${method}: a token with every scope of the agent, for the issuer`, async () => {
    const issued = await token(authentication)
    assert.equal(issued.token_type, 'bearer')
    assert.ok(issued.expires_in > 0)
    const claims = await validated(issued.access_token, env.ISSUER)
    assert.deepEqual(claims.scope.split(' ').sort(), ['agents:read', 'tokens:read'])
  })

  await check(`${method}: a token for one scope and one resource, good there and nowhere else`, async () => {
    const issued = await token(authentication, { scope: 'agents:read', resource: env.RESOURCE })
    assert.equal(issued.scope, 'agents:read')
    const claims = await validated(issued.access_token, env.RESOURCE)
    assert.deepEqual([claims.sub, claims.client_id, claims.scope], [env.CLIENT_ID, env.CLIENT_ID, 'agents:read'])
    await refusal(validated(issued.access_token, env.ISSUER), oauth.OperationProcessingError)
    await refusal(validated(altered(issued.access_token), env.RESOURCE), oauth.OperationProcessingError)
  })

  await check(`${method}: introspection, revocation, then introspection says inactive`, async () => {
    const { access_token: accessToken } = await token(authentication)
    const live = await introspected(authentication, accessToken)
    assert.deepEqual([live.active, live.client_id, live.iss], [true, env.CLIENT_ID, env.ISSUER])
    const response = await oauth.revocationRequest(server, agent, authentication, accessToken, options())
    assert.equal(await oauth.processRevocationResponse(response), undefined)
    assert.deepEqual(await introspected(authentication, accessToken), { active: false })
  })

  for (const [error, parameters] of [
    ['invalid_scope', { scope: 'nobody:granted' }],
    ['invalid_target', { resource: 'https://elsewhere.example' }],
  ]) {
    await check(`${method}: ${Object.values(parameters)} is refused with ${error}`, async () => {
      const reason = await refusal(token(authentication, parameters), oauth.ResponseBodyError)
      assert.deepEqual([reason.status, reason.error], [400, error])
    })
  }

  await check(`${method}: a suspended agent is refused with unauthorized_client`, async () => {
    const suspended = token(authenticate(env.SUSPENDED_SECRET), {}, { client_id: env.SUSPENDED_ID })
    const reason = await refusal(suspended, oauth.ResponseBodyError)
    assert.deepEqual([reason.status, reason.error], [403, 'unauthorized_client'])
  })
}

await check('client_secret_post: a wrong secret is refused with invalid_client', async () => {
  const reason = await refusal(token(oauth.ClientSecretPost(env.WRONG_SECRET)), oauth.ResponseBodyError)
  assert.deepEqual([reason.status, reason.error], [401, 'invalid_client'])
})

await check('client_secret_basic: a wrong secret is challenged, with invalid_client in the body', async () => {
  const wrong = token(oauth.ClientSecretBasic(env.WRONG_SECRET))
  const reason = await refusal(wrong, oauth.WWWAuthenticateChallengeError)
  assert.deepEqual([reason.status, reason.cause[0].scheme], [401, 'basic'])
  assert.equal((await reason.response.json()).error, 'invalid_client')
})
