package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// digest identifies the contents of a table, in whatever order they are read:
// the sum of the hashes of its rows. A row occurs once, having a key.
type digest struct {
	rows int64
	sum  [4]uint64
}

func (d *digest) add(row []any) error {
	h := sha256.New()
	var prefix [9]byte
	put := func(kind byte, n uint64, data []byte) {
		prefix[0] = kind
		binary.BigEndian.PutUint64(prefix[1:], n)
		h.Write(prefix[:])
		h.Write(data)
	}
	for _, value := range row {
		switch v := value.(type) {
		case nil:
			put('n', 0, nil)
		case int64:
			put('i', uint64(v), nil)
		case string:
			put('t', uint64(len(v)), []byte(v))
		case []byte:
			put('b', uint64(len(v)), v)
		default:
			return fmt.Errorf("value of type %T", value)
		}
	}
	var hash [sha256.Size]byte
	h.Sum(hash[:0])
	for i := range d.sum {
		d.sum[i] += binary.BigEndian.Uint64(hash[8*i:])
	}
	d.rows++
	return nil
}

// over adds every row that passes.
func (d *digest) over(next nextRow) nextRow {
	return func() ([]any, error) {
		row, err := next()
		if err != nil {
			return nil, err
		}
		return row, d.add(row)
	}
}

func digestOf(ctx context.Context, db database, t table) (d digest, err error) {
	err = readAll(ctx, db, t, func(next nextRow) error {
		next = d.over(next)
		for {
			if _, err := next(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
	return d, err
}
