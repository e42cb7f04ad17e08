"""The library Authlib as an agent and as a resource server would use it; as it comes."""
# Its validator of JWT access tokens takes the algorithms that its library joserfc recommends: RS256 and
# ES256, not EdDSA (RFC 9864). Of joserfc itself EdDSA can be asked for.

import os
import sys
import traceback
from types import SimpleNamespace

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc6749 import ResourceProtector
from authlib.oauth2.rfc6750.errors import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc8414 import get_well_known_url as oauth_url
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from authlib.oauth2.rfc9068.claims import JWTAccessTokenClaims
from authlib.oidc.discovery import OpenIDProviderMetadata
from authlib.oidc.discovery import get_well_known_url as openid_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ALG, ISSUER, RESOURCE = os.environ["ALG"], os.environ["ISSUER"], os.environ["RESOURCE"]
AGENT = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
SUSPENDED = os.environ["SUSPENDED_ID"], os.environ["SUSPENDED_SECRET"]
WRONG = AGENT[0], "sk_live_" + "0" * 64
TIMEOUT = 10


def get(url):
    response = requests.get(url, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


def main():
    for name, found in [
        ("openid-configuration", OpenIDProviderMetadata(get(openid_url(ISSUER, external=True)))),
        ("oauth-authorization-server", AuthorizationServerMetadata(get(oauth_url(ISSUER, external=True)))),
    ]:
        check(f"discovery at /.well-known/{name}", discovery, found)
    for method in ("client_secret_post", "client_secret_basic"):
        check(f"{method}: a token with every scope of the agent", every_scope, found, method)
        check(f"{method}: a token for one scope and one resource, good there and nowhere else",
              resource, found, method)
        check(f"{method}: introspection, revocation, then introspection says inactive",
              revocation, found, method)
        for what, client, wanted, status, error in [
            ("a wrong secret", WRONG, {}, 401, "invalid_client"),
            ("an unknown scope", AGENT, {"scope": "nobody:granted"}, 400, "invalid_scope"),
            ("an unknown resource", AGENT, {"resource": "https://elsewhere.example"}, 400, "invalid_target"),
            ("a suspended agent", SUSPENDED, {}, 403, "unauthorized_client"),
        ]:
            check(f"{method}: {what} is refused with {error}",
                  refusal, found, method, client, wanted, status, error)


def check(what, test, *arguments):
    try:
        test(*arguments)
    except Exception:
        print(f"FAILED: {what}")
        traceback.print_exc(file=sys.stdout)
        sys.exit(1)
    print(f"ok: {what}", flush=True)


def discovery(found):
    # RFC 8414 wants response types (section 2) and no empty list (section 3.2), OpenID Connect wants
    # RS256 for ID tokens: Authlib can't be content with a server that has neither to offer.
    unanswerable = {"response_types_supported", "id_token_signing_alg_values_supported"}
    for key in set(found.REGISTRY_KEYS) - unanswerable:
        getattr(found, f"validate_{key}")()
    assert found["issuer"] == ISSUER
    assert found["token_endpoint"] and found["introspection_endpoint"] and found["revocation_endpoint"]


def session(method, client=AGENT):
    return OAuth2Session(*client, token_endpoint_auth_method=method,
                         revocation_endpoint_auth_method=method, default_timeout=TIMEOUT)


def fetch(agent, found, **wanted):
    return agent.fetch_token(found["token_endpoint"], grant_type="client_credentials", **wanted)


def every_scope(found, method):
    token = fetch(session(method), found)
    assert token["token_type"] == "Bearer"
    assert sorted(token["scope"].split()) == ["agents:read", "tokens:read"]
    assert not token.is_expired()


def resource(found, method):
    token = fetch(session(method), found, scope="agents:read", resource=RESOURCE)
    keys = KeySet.import_key_set(get(found["jwks_uri"]))
    claims = bearing(token, ByKeySet(keys, RESOURCE), "agents:read")
    assert claims["sub"] == claims["client_id"] == AGENT[0]
    refused(InsufficientScopeError, bearing, token, ByKeySet(keys, RESOURCE), "tokens:read")
    refused(InvalidTokenError, bearing, token, ByKeySet(keys, ISSUER), "agents:read")
    start, signature = token["access_token"].rsplit(".", 1)
    token["access_token"] = f"{start}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    refused(InvalidTokenError, bearing, token, ByKeySet(keys, RESOURCE), "agents:read")


def revocation(found, method):
    agent = session(method)
    token = fetch(agent, found)
    by_introspection = ByIntrospection(agent, found["introspection_endpoint"])
    assert bearing(token, by_introspection, "agents:read")["client_id"] == AGENT[0]
    agent.revoke_token(found["revocation_endpoint"], token_type_hint="access_token").raise_for_status()
    refused(InvalidTokenError, bearing, token, by_introspection, "agents:read")


def refusal(found, method, client, wanted, status, error):
    seen = []
    agent = session(method, client)
    agent.register_compliance_hook("access_token_response", lambda got: seen.append(got.status_code) or got)
    reason = refused(OAuthError, fetch, agent, found, **wanted)
    assert (seen, reason.error) == ([status], error), (seen, reason)


def bearing(token, validator, scope):
    """What a resource server learns from a request that bears the token."""
    server = ResourceProtector()
    server.register_token_validator(validator)
    request = SimpleNamespace(headers={"Authorization": f"Bearer {token['access_token']}"})
    return server.validate_request([scope], request)


class ByKeySet(JWTBearerTokenValidator):
    def __init__(self, keys, audience):
        super().__init__(ISSUER, audience)
        self.keys = keys

    def get_jwks(self):
        return self.keys

    def authenticate_token(self, token_string):
        if ALG != "EdDSA":
            return super().authenticate_token(token_string)
        try:
            token = jwt.decode(token_string, self.keys, algorithms=[ALG])
        except JoseError as reason:
            raise InvalidTokenError() from reason
        wanted = {"iss": {"value": self.issuer}, "aud": {"value": self.resource_server}}
        return JWTAccessTokenClaims(token.claims, token.header, wanted)


class ByIntrospection(IntrospectTokenValidator):
    def __init__(self, agent, url):
        super().__init__()
        self.agent, self.url = agent, url

    def introspect_token(self, token_string):
        answer = self.agent.introspect_token(self.url, token=token_string)
        answer.raise_for_status()
        return answer.json()


def refused(error, act, *arguments, **named):
    try:
        act(*arguments, **named)
    except error as reason:
        return reason
    raise AssertionError("was not refused")


main()
