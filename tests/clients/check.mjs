// What both JavaScript clients share: where the server is, and a line a check.
import assert from 'node:assert/strict'

export const { ALG, ISSUER, CLIENT_ID, CLIENT_SECRET, RESOURCE, SUSPENDED_ID, SUSPENDED_SECRET } = process.env
export const WRONG_SECRET = `sk_live_${'0'.repeat(64)}`

export async function check(what, test) {
  try {
    await test()
    console.log(`ok: ${what}`)
  } catch (error) {
    console.log(`FAILED: ${what}`)
    console.log(error)
    process.exit(1)
  }
}

/** The error that `promise` fails with, which must be of `type`. */
export async function refusal(promise, type) {
  const error = await promise.then(() => assert.fail('was not refused'), (reason) => reason)
  assert.ok(error instanceof type, error)
  return error
}

/** `token` with another signature. */
export function altered(token) {
  const [header, claims, signature] = token.split('.')
  return `${header}.${claims}.${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`
}
