// An OpenID Connect provider of another make than Keycloak, with a client for programs and one for
// people. Its first argument is the folder of node_modules; it prints its address.

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';

const folder = process.argv[2];
const { default: Provider } = await import(
  join(folder, 'node_modules/oidc-provider/lib/index.js')
);

const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const server = createServer();

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...key, kid: 'first', use: 'sig', alg: 'RS256' }] },
    cookies: { keys: ['a-key-of-the-tests'] },
    clients: [
      {
        client_id: 'program',
        client_secret: 'a-secret-of-the-tests',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: 'rat-cli',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: [
          'authorization_code',
          'refresh_token',
          'urn:ietf:params:oauth:grant-type:device_code',
        ],
        redirect_uris: ['http://127.0.0.1/callback'],
      },
    ],
    findAccount: (context, id) => ({
      accountId: id,
      claims: () => ({ sub: id }),
    }),
    extraTokenClaims: (context, token) => ({
      groups: ['analysts'],
      email: token.accountId && `${token.accountId}@example.com`,
    }),
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      // Access tokens are JWTs (RFC 9068) for whoever RAT is to the provider.
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:rat',
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          audience: 'rat',
          scope: 'read',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  process.stdout.write(`${issuer}\n`);
});
