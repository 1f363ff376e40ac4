package mls

import "slices"

// keyUse is a message key with its place in the ratchet.
type keyUse struct {
	generation uint32
	key, nonce []byte
}

func (u *keyUse) wipe() {
	clear(u.key)
	clear(u.nonce)
}

// ratchet is a symmetric ratchet of RFC 9420 §9.1. Where a receiver had to
// skip generations it keeps their keys, up to a limit.
type ratchet struct {
	next    uint32 // generation
	secret  []byte
	skipped []keyUse // ascending
}

// step gives the key of the next generation and advances, wiping the secret.
func (s *suite) step(r *ratchet) keyUse {
	u := keyUse{
		generation: r.next,
		key:        s.deriveTreeSecret(r.secret, "key", r.next, s.nk),
		nonce:      s.deriveTreeSecret(r.secret, "nonce", r.next, nn),
	}
	next := s.deriveTreeSecret(r.secret, "secret", r.next, s.nh)
	clear(r.secret)
	r.secret = next
	r.next++
	return u
}

func (r *ratchet) clone() *ratchet {
	c := &ratchet{next: r.next, secret: slices.Clone(r.secret)}
	for _, u := range r.skipped {
		c.skipped = append(c.skipped, keyUse{u.generation, slices.Clone(u.key), slices.Clone(u.nonce)})
	}
	return c
}

func (r *ratchet) wipe() {
	clear(r.secret)
	for i := range r.skipped {
		r.skipped[i].wipe()
	}
}

// take gives the key of this generation and makes the ratchet forget it. r is
// of no use after an error.
func (s *suite) take(r *ratchet, generation uint32, forward, outOfOrder int) (keyUse, error) {
	if generation < r.next {
		i := slices.IndexFunc(r.skipped, func(u keyUse) bool { return u.generation == generation })
		if i < 0 {
			return keyUse{}, ErrAlreadyUsed
		}
		u := r.skipped[i]
		r.skipped = slices.Delete(r.skipped, i, i+1)
		return u, nil
	}
	if uint64(generation)-uint64(r.next) > uint64(forward) || generation == lastGeneration {
		return keyUse{}, ErrTooFarAhead
	}
	for r.next < generation {
		r.skipped = append(r.skipped, s.step(r))
	}
	u := s.step(r)
	n := max(0, len(r.skipped)-outOfOrder)
	for n < len(r.skipped) && r.next-r.skipped[n].generation > maxVarint {
		n++ // its record could not tell how far back it is
	}
	for i := range n {
		r.skipped[i].wipe()
	}
	r.skipped = slices.Delete(r.skipped, 0, n)
	return u, nil
}

// lastGeneration is not used, so that the counter cannot turn over.
const lastGeneration = 1<<32 - 1

// encode writes the ratchet's record, which stays below 1 KiB with 20 skipped
// keys: each begins with how far behind the next generation it is.
func (r *ratchet) encode(w *writer) {
	w.u32(r.next)
	w.vec(r.secret)
	for _, u := range r.skipped {
		w.length(int(r.next - u.generation))
		w.raw(u.key)
		w.raw(u.nonce)
	}
}

func readRatchet(s *suite) func(*reader) *ratchet {
	return func(r *reader) *ratchet {
		t := &ratchet{next: r.u32(), secret: r.vec()}
		if r.err == nil && len(t.secret) != s.nh {
			r.fail("ratchet secret of %d bytes", len(t.secret))
		}
		for r.err == nil && len(r.b) > 0 {
			back := r.length()
			if back == 0 || uint32(back) > t.next {
				r.fail("skipped generation")
			}
			t.skipped = append(t.skipped, keyUse{t.next - uint32(back), r.take(s.nk), r.take(nn)})
		}
		return t
	}
}
