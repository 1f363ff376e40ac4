package mls

import (
	"bytes"
	"crypto/cipher"
	"slices"
	"sync"
	"testing"
)

// suiteSpied is SuiteX25519 whose AEAD and KEM tell what secrets pass through them.
const suiteSpied Suite = 0xF0F1

// spy keeps the memory of the secrets that a suite's primitives were given or
// gave, with a copy of what was in it.
type spy struct {
	mu       sync.Mutex
	seen     []passed
	opened   [][]byte // copies of what HPKE has opened: path secrets and group secrets
	aeadKeys [][]byte
}

type passed struct {
	what         string
	held, copied []byte
}

func newSpy(t testing.TB) *spy {
	w := &spy{}
	s := *suites[0]
	s.id, s.name = suiteSpied, "spied"
	s.kem = spiedKEM{suites[0].kem, w}
	s.newAEAD = func(key []byte) (cipher.AEAD, error) {
		w.note("AEAD key", key)
		w.mu.Lock()
		w.aeadKeys = append(w.aeadKeys, bytes.Clone(key))
		w.mu.Unlock()
		return aesGCM(key)
	}
	before := suites
	suites = append(slices.Clone(suites), &s)
	t.Cleanup(func() { suites = before })
	return w
}

func (w *spy) note(what string, secret []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, passed{what, secret, bytes.Clone(secret)})
}

type spiedKEM struct {
	kem
	spy *spy
}

func (k spiedKEM) deriveKeyPair(ikm []byte) (private, public []byte, err error) {
	k.spy.note("seed of a key pair", ikm)
	return k.kem.deriveKeyPair(ikm)
}

func (k spiedKEM) seal(public, info, plaintext []byte) (enc, ciphertext []byte, err error) {
	k.spy.note("sealed by HPKE", plaintext)
	return k.kem.seal(public, info, plaintext)
}

func (k spiedKEM) open(private, enc, info, ciphertext []byte) ([]byte, error) {
	b, err := k.kem.open(private, enc, info, ciphertext)
	if err != nil {
		return nil, err
	}
	k.spy.mu.Lock()
	k.spy.opened = append(k.spy.opened, bytes.Clone(b))
	k.spy.mu.Unlock()
	if len(b) == suites[0].nh {
		k.spy.note("path secret", b)
		return b, nil
	}
	if secrets, err := unmarshal(b, readGroupSecrets); err == nil {
		k.spy.note("joiner secret", secrets.joinerSecret)
		k.spy.note("path secret of a welcome", secrets.pathSecret)
	}
	return b, nil
}

func (k spiedKEM) exportTo(public []byte, label string, n int) (enc, secret []byte, err error) {
	enc, secret, err = k.kem.exportTo(public, label, n)
	k.spy.note("external init secret", secret)
	return enc, secret, err
}

func (k spiedKEM) exportFrom(private, enc []byte, label string, n int) ([]byte, error) {
	secret, err := k.kem.exportFrom(private, enc, label, n)
	k.spy.note("external private key", private)
	k.spy.note("external init secret", secret)
	return secret, err
}

// wiped checks that nothing is left in the memory of what has passed by, and
// starts anew.
func (w *spy) wiped(t testing.TB) {
	t.Helper()
	if len(w.seen) == 0 {
		t.Error("no secret has passed")
	}
	for _, p := range w.seen {
		if !allZero(p.held) {
			t.Errorf("%s of %d bytes is not wiped", p.what, len(p.held))
		}
	}
	w.seen = nil
}

func allZero(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

// secrets gives what has been opened and the keys used, in values.
func (w *spy) secrets() (out [][]byte) {
	for _, b := range w.opened {
		if secrets, err := unmarshal(b, readGroupSecrets); err == nil && len(secrets.joinerSecret) > 0 {
			out = append(out, secrets.joinerSecret)
			if len(secrets.pathSecret) > 0 {
				out = append(out, secrets.pathSecret)
			}
			continue
		}
		out = append(out, b)
	}
	return append(out, w.aeadKeys...)
}

// gone checks that no group and no record has any of what has passed by.
func (w *spy) gone(t testing.TB, peers ...*peer) {
	t.Helper()
	for _, p := range peers {
		absent(t, p, "what has passed", w.secrets()...)
	}
}

// absent checks that secrets are neither in the live group nor in its records.
func absent(t testing.TB, p *peer, what string, secrets ...[]byte) {
	t.Helper()
	m := probe(p.g)
	for key, value := range p.store {
		m["record "+key] = value
	}
	for _, secret := range secrets {
		if len(secret) < 12 || allZero(secret) {
			t.Fatalf("%s: %x is no secret", what, secret)
		}
		if at := m.where(secret); len(at) > 0 {
			t.Errorf("%s: %s is still at %q", p.name, what, at)
		}
	}
}

// present is the opposite of absent, without which that would mean little.
func present(t testing.TB, p *peer, what string, secrets ...[]byte) {
	t.Helper()
	m, stored := probe(p.g), memory(p.store)
	for _, secret := range secrets {
		if len(m.where(secret)) == 0 || len(stored.where(secret)) == 0 {
			t.Errorf("%s: %s is missing", p.name, what)
		}
	}
}

// held is the memory of a group's secrets at some time.
type held struct {
	p              *peer
	memory, copied memory
}

func hold(p *peer) held {
	m, c := probe(p.g).secret()
	return held{p, m, c}
}

// swept checks that every secret that the group held, and holds no longer, has
// been wiped where it was and is in no record, and that those at these paths are among them.
func (h held) swept(t testing.TB, want ...string) {
	t.Helper()
	m, stored := probe(h.p.g), memory(h.p.store)
	reachable := map[*byte]bool{}
	for _, b := range m {
		if len(b) > 0 {
			reachable[&b[0]] = true
		}
	}
	for path, b := range h.memory {
		if !reachable[&b[0]] && !allZero(b) {
			t.Errorf("%s: %s is not wiped where it was", h.p.name, path)
		}
		secret := h.copied[path]
		lives := len(m.where(secret)) > 0
		if at := stored.where(secret); !lives && len(at) > 0 {
			t.Errorf("%s: %s is still in the records %q", h.p.name, path, at)
		}
		if lives && slices.Contains(want, path) {
			t.Errorf("%s: %s is still at %q", h.p.name, path, m.where(secret))
		}
	}
	for _, path := range want {
		if _, ok := h.copied[path]; !ok {
			t.Errorf("%s: there was no %s", h.p.name, path)
		}
	}
}
