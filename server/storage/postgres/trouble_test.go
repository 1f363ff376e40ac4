package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"quicprochat/server/storage"
)

func TestTroubles(t *testing.T) {
	state := func(code string) error { return fmt.Errorf("post: %w", &pgconn.PgError{Code: code}) }
	for _, tc := range []struct {
		err, want error
	}{
		{state("53100"), storage.ErrFull},
		{state("25006"), storage.ErrReadOnly},
		{state("58030"), storage.ErrDisk},
		{state("XX001"), storage.ErrDamaged},
		{state("53300"), storage.ErrBusy},
		{state("40001"), storage.ErrBusy},
		{state("57P03"), storage.ErrUnreachable},
		{io.ErrUnexpectedEOF, storage.ErrUnreachable},
		{&ConnectError{text: "nothing listens"}, storage.ErrUnreachable},
		{&uncertainError{io.EOF}, storage.ErrUnreachable},
		{state("23505"), nil},
		{context.Canceled, nil},
		{storage.ErrUnknownChannel, nil},
		{nil, nil},
	} {
		got := withTrouble(tc.err)
		if storage.TroubleOf(got) != tc.want || tc.err != nil && !errors.Is(got, tc.err) {
			t.Errorf("%v: %v, want %v", tc.err, got, tc.want)
		}
	}
}
