package mls

import (
	"encoding/binary"
	"fmt"
)

// writer appends the presentation language of RFC 9420 §2.1.
type writer struct {
	b []byte
	// secret makes it wipe the buffers that it grows out of.
	secret bool
}

func (w *writer) u8(v uint8)   { w.reserve(1); w.b = append(w.b, v) }
func (w *writer) u16(v uint16) { w.reserve(2); w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32) { w.reserve(4); w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.reserve(8); w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) raw(v []byte) { w.reserve(len(v)); w.b = append(w.b, v...) }

// reserve makes room for n bytes.
func (w *writer) reserve(n int) {
	if !w.secret || len(w.b)+n <= cap(w.b) {
		return // append does
	}
	grown := append(make([]byte, 0, 2*cap(w.b)+n+64), w.b...)
	clear(w.b)
	w.b = grown
}

// vec writes opaque<V>.
func (w *writer) vec(v []byte) {
	w.length(len(v))
	w.raw(v)
}

func (w *writer) length(n int) {
	var l [4]byte
	putVarint(l[:], n)
	w.raw(l[:varintLen(n)])
}

// nested writes what f writes as the content of a vector.
func (w *writer) nested(f func(*writer)) {
	start := len(w.b)
	w.u8(0) // most vectors are short
	f(w)
	n := len(w.b) - start - 1
	if extra := varintLen(n) - 1; extra > 0 {
		w.raw(make([]byte, extra))
		copy(w.b[start+1+extra:], w.b[start+1:start+1+n])
	}
	putVarint(w.b[start:], n)
}

func (w *writer) optional(present bool) {
	if present {
		w.u8(1)
	} else {
		w.u8(0)
	}
}

func (w *writer) u16s(v []uint16) {
	w.length(2 * len(v))
	for _, x := range v {
		w.u16(x)
	}
}

// wire is anything with an encoding.
type wire interface{ encode(*writer) }

func marshal(v wire) []byte {
	var w writer
	v.encode(&w)
	return w.b
}

// marshalSecret is marshal for what holds secrets: its result is their only copy.
func marshalSecret(v wire) []byte {
	w := writer{secret: true}
	v.encode(&w)
	return w.b
}

func writeList[T wire](w *writer, list []T) {
	w.nested(func(w *writer) {
		for _, v := range list {
			v.encode(w)
		}
	})
}

// reader takes structures apart. The first error sticks; what is read after it
// is zero. The slices it gives are parts of its input.
type reader struct {
	b     []byte
	err   error
	lists interner // of lists that many structures have alike, nil to share none
}

func (r *reader) fail(format string, args ...any) {
	r.refuse(fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...)))
}

func (r *reader) refuse(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// take returns the next n bytes, nil at an error.
func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b) {
		r.fail("truncated")
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// vec reads opaque<V>.
func (r *reader) vec() []byte { return r.take(r.length()) }

// length reads the length of a vector, zero at an error.
func (r *reader) length() int {
	if r.err != nil {
		return 0
	}
	n, size := parseVarint(r.b)
	if size == 0 {
		r.fail("bad vector length")
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) optional() bool {
	switch r.u8() {
	case 0:
		return false
	case 1:
		return true
	default:
		r.fail("bad presence octet")
		return false
	}
}

func (r *reader) u16s() []uint16 {
	b := r.vec()
	if len(b)%2 != 0 {
		r.fail("odd vector of uint16")
		return nil
	}
	if v, ok := r.lists[string(b)]; ok {
		return v
	}
	v := make([]uint16, len(b)/2)
	for i := range v {
		v[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	r.lists.keep(b, v)
	return v
}

// interner keeps lists of ids for all who have the same: the capabilities of a
// group's members hardly differ.
type interner map[string][]uint16

// maxInterned bounds what an interner keeps.
const maxInterned = 512

func (l interner) keep(encoded []byte, list []uint16) {
	if l != nil && len(l) < maxInterned {
		l[string(encoded)] = list
	}
}

// readList reads a vector of structures.
func readList[T any](r *reader, read func(*reader) T) []T {
	in := reader{b: r.vec(), err: r.err, lists: r.lists}
	var list []T
	for in.err == nil && len(in.b) > 0 {
		list = append(list, read(&in))
	}
	if in.err != nil {
		r.err, r.b = in.err, nil
		return nil
	}
	return list
}

// since returns what was read after the reader stood at start.
func (r *reader) since(start []byte) []byte {
	n := len(start) - len(r.b)
	return start[:n:n]
}

// unmarshal reads one structure that is the whole of b.
func unmarshal[T any](b []byte, read func(*reader) T) (T, error) {
	return unmarshalSharing(b, read, nil)
}

// unmarshalSharing is unmarshal for a structure that is going to share lists with others.
func unmarshalSharing[T any](b []byte, read func(*reader) T, lists interner) (T, error) {
	r := reader{b: b, lists: lists}
	v := read(&r)
	if err := r.end(); err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// end returns the reader's error, if only that there is more to read.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d trailing bytes", len(r.b))
	}
	return r.err
}
