import { foreignFormat, isSshPublicKey, type ForeignFormat } from '../shared/key-formats'

const ADVICE: Record<ForeignFormat, string> = {
  OpenSSH:
    'it is in OpenSSH format. Convert a copy of the file to PEM: ssh-keygen -p -N "" -m PKCS8 -f copy-of-key.',
  PuTTY:
    'it is in PuTTY format. Load it in PuTTYgen and choose Conversions, Export OpenSSH key. Then convert that ' +
    'file to PEM: ssh-keygen -p -N "" -m PKCS8 -f exported-key.',
  PGP: 'it is in PGP format, which Redox does not accept. Generate an RSA key pair.',
  'PKCS#12':
    'it is a PKCS#12 container (.p12, .pfx). Extract the key: openssl pkcs12 -in key.p12 -nocerts -nodes | ' +
    'openssl pkcs8 -topk8 -nocrypt.',
  'PKCS#7':
    'it is a PKCS#7 container, which has certificates but no private key. Paste the private key as PKCS#8 PEM.',
  'Java key store':
    'it is a Java keystore. Convert it: keytool -importkeystore -srckeystore key.jks -destkeystore key.p12 ' +
    '-deststoretype PKCS12. Then extract the key: openssl pkcs12 -in key.p12 -nocerts -nodes | ' +
    'openssl pkcs8 -topk8 -nocrypt.',
  'XML (.NET)':
    'it is in the .NET XML format. Export it as PEM: RSA.ExportPkcs8PrivateKeyPem() after RSA.FromXmlString().',
}
const SSH_PUBLIC = 'it is an SSH public key. Paste the private key that belongs to it, as PKCS#8 PEM.'

/**
 * Returns the name of a foreign key format, and advice on converting the key.
 * @returns undefined for a format that Node.js may be able to read
 */
export function conversionAdvice(content: string): string | undefined {
  if (isSshPublicKey(content)) return SSH_PUBLIC
  const format = foreignFormat(content)
  return format === undefined ? undefined : ADVICE[format]
}
