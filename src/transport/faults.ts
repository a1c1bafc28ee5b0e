// What a system's code says of TLS and of the proxy. Which faults heal by themselves is not guessed: only what is
// known to stay until somebody changes something is named here.

/** Why no TLS connection came about. */
export type TlsFault = 'authority' | 'host' | 'time' | 'client' | 'protocol'

/** Why the proxy opened no tunnel: it cannot be reached or reaches nobody, wants a login, or does not want to. */
export type ProxyFault = 'unreachable' | 'login' | 'refused'

const TLS_CODES: readonly (readonly [TlsFault, RegExp])[] = [
  ['host', /^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/],
  ['time', /^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/],
  [
    'authority',
    /SELF_SIGNED|^UNABLE_TO_(GET|VERIFY|DECODE)|^CERT_|^INVALID_(CA|PURPOSE)$|^PATH_LENGTH|^CRL_/,
  ],
  // Alerts of a server that judged our certificate, or misses one.
  ['client', /^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED|DECRYPT_ERROR)/],
  [
    'protocol',
    /^ERR_SSL_(WRONG_VERSION|PACKET_LENGTH|UNSUPPORTED_PROTOCOL|HTTP_|.*ALERT_(PROTOCOL|UNRECOGNIZED))/,
  ],
]

/**
 * @param sent bytes of the request have left: then only the server's judgement of our certificate counts. In TLS 1.3
 * it comes after the first bytes, which a server reads only once it is content.
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
    "The server's certificate comes from an authority that is not trusted here. If the host is your own, or a proxy " +
    'or firewall opens TLS, give its CA certificate in a tls-config node of the redox-config node, or to Node.js ' +
    'with NODE_EXTRA_CA_CERTS.',
  host:
    'The certificate is for another host: check the hosts in the redox-config node, and the server name in its ' +
    'tls-config node.',
  time:
    "The server's certificate has expired or is not valid yet: check the clock of this machine, else tell whoever " +
    'runs the host.',
  client:
    'The server wants a client certificate, or does not accept the given one: check certificate and key in the ' +
    'tls-config node of the redox-config node.',
  protocol: 'The host does not speak TLS as expected: check the hosts and ports in the redox-config node.',
}

const PROXY_ADVICE: Record<ProxyFault, string> = {
  unreachable:
    'Check the http proxy node of the redox-config node, or the variable https_proxy, and the proxy itself.',
  login:
    'The proxy wants a user name and a password, or does not accept the given ones: check them in the http proxy node ' +
    'of the redox-config node (only the Basic scheme is supported).',
  refused:
    'The proxy does not open a tunnel to this host, or its own certificate does not hold: ask whoever runs it, or ' +
    'check the http proxy node of the redox-config node.',
}

/** What to do about a fault of TLS or of the proxy, when its code says it. */
export function adviceOn(systemCode: string, sent: boolean): string | undefined {
  const proxy = proxyFault(systemCode)
  if (proxy !== undefined) return PROXY_ADVICE[proxy]
  const tls = tlsFault(systemCode, sent)
  return tls && TLS_ADVICE[tls]
}
