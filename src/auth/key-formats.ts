/** Formats of keys that Node.js does not read, by what they begin with; bytes are looked at as latin1. */
const FORMATS: [format: RegExp, advice: string][] = [
  [
    /-----BEGIN ?OPENSSH PRIVATE ?KEY-----|^openssh-key-v1\0/,
    'it is in OpenSSH format. Convert a copy of the file to PEM: ssh-keygen -p -N "" -m PKCS8 -f copy-of-key.',
  ],
  [
    /^PuTTY-User-Key-File-/,
    'it is in PuTTY format. Load it in PuTTYgen and choose Conversions, Export OpenSSH key. Then convert that ' +
      'file to PEM: ssh-keygen -p -N "" -m PKCS8 -f exported-key.',
  ],
  [
    /^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+) |-{4,5} ?BEGIN SSH2 PUBLIC KEY/,
    'it is an SSH public key. Paste the private key that belongs to it, as PKCS#8 PEM.',
  ],
  [/-----BEGIN PGP /, 'it is in PGP format, which Redox does not accept. Generate an RSA key pair.'],
  [
    // PFX (RFC 7292): a sequence that begins with the version 3, and goes on with another sequence.
    /^0(\x80|[\x81-\x84][\s\S]{1,4})?\x02\x01\x030/,
    'it is a PKCS#12 container (.p12, .pfx). Extract the key: openssl pkcs12 -in key.p12 -nocerts -nodes | ' +
      'openssl pkcs8 -topk8 -nocrypt.',
  ],
  [
    /-----BEGIN ?(PKCS7|CMS)-----/,
    'it is a PKCS#7 container, which has certificates but no private key. Paste the private key as PKCS#8 PEM.',
  ],
  [
    /^(\xFE\xED\xFE\xED|\xCE\xCE\xCE\xCE)/,
    'it is a Java keystore. Convert it: keytool -importkeystore -srckeystore key.jks -destkeystore key.p12 ' +
      '-deststoretype PKCS12. Then extract the key: openssl pkcs12 -in key.p12 -nocerts -nodes | ' +
      'openssl pkcs8 -topk8 -nocrypt.',
  ],
  [
    /<RSAKeyValue>/,
    'it is in the .NET XML format. Export it as PEM: RSA.ExportPkcs8PrivateKeyPem() after RSA.FromXmlString().',
  ],
]

/** @returns the name of the format and how to convert it; undefined for one that is none of these */
export function foreignFormat(content: string): string | undefined {
  return FORMATS.find(([format]) => format.test(content))?.[1]
}
