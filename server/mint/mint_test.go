package mint

import (
	"bytes"
	"testing"
	"time"

	"quicprochat/core/tokens"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newMint(t *testing.T, c *clock) *Mint {
	t.Helper()
	m, err := New([32]byte{1}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func issue(t *testing.T, m *Mint) []byte {
	t.Helper()
	k, err := m.Today()
	if err != nil {
		t.Fatal(err)
	}
	b, err := tokens.NewBatch(tokens.PublicKey{ID: k.ID(), Bytes: k.Public()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	evaluated, proof, err := k.Evaluate(b.Blinded())
	if err != nil {
		t.Fatal(err)
	}
	list, err := b.Finish(evaluated, proof)
	if err != nil {
		t.Fatal(err)
	}
	return list[0].Bytes()
}

func TestTokensOfTodayAndYesterday(t *testing.T) {
	midnight := time.Date(2026, 5, 5, 0, 0, 0, 0, time.UTC)
	c := &clock{midnight.Add(-time.Second)}
	m := newMint(t, c)
	token := issue(t, m)
	for _, step := range []struct {
		at   time.Time
		want qpcv1.ErrorCode
	}{
		{midnight.Add(-24 * time.Hour), 0},
		{midnight.Add(-24*time.Hour - 1), qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY}, // not yet
		{midnight.Add(-time.Second), 0},
		{midnight.Add(24*time.Hour - 1), 0},
		{midnight.Add(24 * time.Hour), qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY},
		{midnight, 0},
	} {
		c.at = step.at
		list, err := m.Check([][]byte{token}, []byte("use"))
		if wire.CodeOf(err) != step.want {
			t.Errorf("%v: %v, want %v", step.at, err, step.want)
		}
		if err == nil && !list[0].Due.Equal(midnight.Add(48*time.Hour)) { // the key is over a day before
			t.Errorf("due %v", list[0].Due)
		}
	}
	if len(m.keys) > 3 {
		t.Errorf("%d keys are kept", len(m.keys))
	}
}

func TestCheck(t *testing.T) {
	c := &clock{time.Date(2026, 5, 5, 12, 0, 0, 0, time.UTC)}
	m := newMint(t, c)
	a, b := issue(t, m), issue(t, m)
	list, err := m.Check([][]byte{a, b}, []byte("use"))
	if err != nil || len(list) != 2 || list[0].Token == list[1].Token || list[0].Use == list[1].Use {
		t.Fatalf("%v, %v", list, err)
	}
	other, err := m.Check([][]byte{a}, []byte("other use"))
	if err != nil || other[0].Token != list[0].Token || other[0].Use == list[0].Use {
		t.Errorf("%v, %v", other, err)
	}
	if bytes.Contains(a, list[0].Token[:8]) || bytes.Contains(a, list[0].Use[:8]) {
		t.Error("what is kept shows the token")
	}
	forged := bytes.Clone(a)
	forged[60] ^= 1
	for what, tc := range map[string]struct {
		list [][]byte
		want qpcv1.ErrorCode
	}{
		"twice":  {[][]byte{a, b, a}, qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT},
		"forged": {[][]byte{a, forged}, qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID},
		"short":  {[][]byte{a[1:]}, qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID},
		"empty":  {[][]byte{nil}, qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID},
	} {
		if list, err := m.Check(tc.list); wire.CodeOf(err) != tc.want || list != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Another server of the same database has the same keys, another server has not.
	if _, err := newMint(t, c).Check([][]byte{a}); err != nil {
		t.Error(err)
	}
	stranger, err := New([32]byte{2}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Check([][]byte{a}); wire.CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID {
		t.Errorf("another server: %v", err)
	}
}
