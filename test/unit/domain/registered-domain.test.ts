/** The part of a domain by which made-up names are counted together. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { registeredDomain } from '../../../src/domain/registered-domain.js'

test.each([
  ['example.org', 'example.org'],
  ['mail.example.org', 'example.org'],
  ['a.b.c.example.org', 'example.org'],
  ['shop.co.uk', 'shop.co.uk'],
  ['a.b.shop.co.uk', 'shop.co.uk'],
  ['x.gouv.fr', 'x.gouv.fr'],
  // A short name that somebody may register is not shared, whatever the country.
  ['n1.q7.ws', 'q7.ws'],
  ['n1.web.example', 'web.example'],
  ['n1.co.com', 'co.com'],
  ['co.uk', 'co.uk'],
  ['uk', 'uk'],
  ['', ''],
  ['.', '.'],
  ['a..b', '.b'],
  ['..', '.'],
])('%j belongs to %j', (domain, owner) => expect(registeredDomain(domain)).toBe(owner))

test('a domain and its owner have the same owner, which is its end', () => {
  const label = fc.constantFrom('a', 'co', 'com', 'uk', 'org', 'x1', 'example', '')
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 6 }), (labels) => {
      const domain = labels.join('.')
      const owner = registeredDomain(domain)
      expect(domain.endsWith(owner)).toBe(true)
      expect(registeredDomain(owner)).toBe(owner)
    }),
  )
})
