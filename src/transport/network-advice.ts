// Meaning of system error codes of TLS and proxies. Only failures that certainly remain until a setting is changed are
// listed here; all others are assumed to be temporary.

/** Cause of a failed TLS connection. */
export type TlsFault = 'authority' | 'host' | 'time' | 'client' | 'protocol'

/**
 * Cause of a failed tunnel: the proxy is unreachable or cannot reach the host, requires a login, or refuses the host.
 */
export type ProxyFault = 'unreachable' | 'login' | 'refused'

const TLS_CODES: readonly (readonly [TlsFault, RegExp])[] = [
  ['host', /^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/],
  ['time', /^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/],
  [
    'authority',
    /SELF_SIGNED|^UNABLE_TO_(GET|VERIFY|DECODE)|^CERT_|^INVALID_(CA|PURPOSE)$|^PATH_LENGTH|^CRL_/,
  ],
  // TLS alerts of a server that requires a client certificate, or rejects the one that it received.
  ['client', /^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED|DECRYPT_ERROR)/],
  [
    'protocol',
    /^ERR_SSL_(WRONG_VERSION|PACKET_LENGTH|UNSUPPORTED_PROTOCOL|HTTP_|.*ALERT_(PROTOCOL|UNRECOGNIZED))/,
  ],
]

/**
 * Cause of a TLS failure; undefined for other errors.
 * @param sent true if bytes of the request have been sent: then only a rejected client certificate counts as a TLS
 *   failure. In TLS 1.3 the rejection comes after the first bytes, which a server reads only after it has accepted the
 *   certificate.
 */
export function tlsFault(systemCode: string, sent: boolean): TlsFault | undefined {
  const found = TLS_CODES.find(([, codes]) => codes.test(systemCode))?.[0]
  return sent && found !== 'client' ? undefined : found
}

export function proxyFault(systemCode: string): ProxyFault | undefined {
  const [, reason] = /^PROXY_(.+)$/.exec(systemCode) ?? []
  if (reason === undefined) return undefined
  if (reason === '407') return 'login'
  const stays = /^[34]\d\d$/.test(reason) || tlsFault(reason, false) !== undefined
  return stays ? 'refused' : 'unreachable'
}

const TLS_ADVICE: Record<TlsFault, string> = {
  authority:
    'The certificate of the server is signed by an authority that this machine does not trust. If the host is your ' +
    'own, or a proxy or firewall inspects TLS, add its CA certificate in a tls-config node of the connection, or with ' +
    'NODE_EXTRA_CA_CERTS.',
  host: 'The certificate is for a different host. Check the hosts in the connection, and the server name in its tls-config node.',
  time:
    'The certificate of the server has expired, or is not valid yet. Check the clock of this machine. If it is right, ' +
    'inform the operator of the host.',
  client:
    'The server requires a client certificate, or does not accept this one. Check the certificate and the key in the ' +
    'tls-config node of the connection.',
  protocol: 'The host does not speak TLS as expected. Check the hosts and ports in the connection.',
}

const PROXY_ADVICE: Record<ProxyFault, string> = {
  unreachable:
    'Check the http proxy node of the connection, or the variable https_proxy, and the proxy itself.',
  login:
    'The proxy requires a user name and a password, or does not accept these. Check them in the http proxy node of the ' +
    'connection. Only the Basic scheme is supported.',
  refused:
    'The proxy does not open a tunnel to this host, or its certificate is not valid. Ask its operator, or check the ' +
    'http proxy node of the connection.',
}

/** Advice on a TLS or proxy failure; undefined for other error codes. */
export function adviceOn(systemCode: string, sent: boolean): string | undefined {
  const proxy = proxyFault(systemCode)
  if (proxy !== undefined) return PROXY_ADVICE[proxy]
  const tls = tlsFault(systemCode, sent)
  return tls && TLS_ADVICE[tls]
}
