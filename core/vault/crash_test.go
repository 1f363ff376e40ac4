package vault

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// The test binary is its own victim: with childEnv set it is a child that
// writes until it is killed, and says on stdout what is acknowledged.
const childEnv = "QPC_VAULT_TEST_CHILD"

var children = map[string]func(dir string) error{
	"commit":   commitForever,
	"password": changePasswordForever,
}

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childEnv)]; child != nil {
		fmt.Println("failed:", child(os.Args[1]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// step is what a client does for one message: everything in one transaction.
func step(v *Vault, conv [16]byte) (n uint64, err error) {
	err = v.Update(context.Background(), func(tx *Tx) error {
		cursor, err := tx.Setting("cursor")
		if err == nil {
			n = binary.BigEndian.Uint64(cursor)
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		n++
		value := binary.BigEndian.AppendUint64(nil, n)
		if err := tx.PutSetting("cursor", value); err != nil {
			return err
		}
		if err := tx.PutMLS(conv, records("ratchet", string(value))); err != nil {
			return err
		}
		m := Message{Conversation: conv, MessageID: messageID(int(n)), Kind: MessageText, Body: fmt.Sprint(n), Seq: n, State: MessageReceived, Unread: true}
		if err := tx.InsertMessage(&m); err != nil {
			return err
		}
		old, err := tx.Outbox(0, 10)
		if err != nil {
			return err
		}
		for _, o := range old {
			if err := tx.RemoveOutbox(o.ID); err != nil {
				return err
			}
		}
		return tx.AddOutbox(&OutboxItem{ItemID: messageID(int(n)), Payload: make([]byte, 1000)})
	})
	return n, err
}

// checkSteps returns how many steps are in the vault, after it has made sure
// that each is there as a whole.
func checkSteps(t interface {
	Helper()
	Fatal(...any)
	Errorf(string, ...any)
}, dir string, conv [16]byte,
) (n uint64) {
	t.Helper()
	v, err := Open(dir, testPassword, cheap)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	err = v.View(context.Background(), func(tx *Tx) error {
		c, err := tx.Conversation(conv)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		cursor, err := tx.Setting("cursor")
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		n = binary.BigEndian.Uint64(cursor)
		ratchet, err1 := tx.MLSRecord(conv, []byte("ratchet"))
		list, err2 := tx.Messages(conv, Page{Limit: 1 << 20})
		outbox, err3 := tx.Outbox(0, 10)
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		if string(ratchet) != string(cursor) || uint64(len(list)) != n || uint64(c.Unread) != n ||
			c.Last == nil || c.Last.Text != fmt.Sprint(n) || len(outbox) != 1 || outbox[0].ItemID != messageID(int(n)) {
			t.Errorf("cursor %d: ratchet %x, %d messages, %d unread, preview %+v, %d in the outbox", n, ratchet, len(list), c.Unread, c.Last, len(outbox))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var crashConversation = [16]byte{0xc0, 1}

func commitForever(dir string) error {
	v, err := Open(dir, testPassword, cheap)
	if err != nil {
		return err
	}
	for {
		n, err := step(v, crashConversation)
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func changePasswordForever(dir string) error {
	v, err := Open(dir, os.Args[2], cheap)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	for {
		if err := v.ChangePassword(fmt.Sprint(n), fmt.Sprint(n+1)); err != nil {
			return err
		}
		n++
		fmt.Println(n)
	}
}

// killAfter starts the child, kills it once it has said lines lines, and
// returns the last number it said.
func killAfter(t *testing.T, lines int, child, dir string, args ...string) (last int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{dir}, args...)...)
	cmd.Env = append(os.Environ(), childEnv+"="+child)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		if last, err = strconv.Atoi(scanner.Text()); err != nil {
			t.Error("the child said", scanner.Text())
			break
		}
		if lines--; lines == 0 {
			if _, err := Open(dir, testPassword, cheap); !errors.Is(err, ErrInUse) {
				t.Error("opened beside another process:", err)
			}
			if err := cmd.Process.Kill(); err != nil { // and read what it had said before
				t.Error(err)
			}
		}
	}
	_ = cmd.Process.Kill() // in case it did not come that far
	_ = cmd.Wait()         // "signal: killed"
	if lines > 0 {
		t.Error("the child ended by itself")
	}
	return last
}

func TestKilledWhileCommitting(t *testing.T) {
	v, dir := newVault(t)
	putConversation(t, v, 1)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		acknowledged := killAfter(t, 1+rand.IntN(150), "commit", dir)
		if n := checkSteps(t, dir, crashConversation); n < uint64(acknowledged) {
			t.Fatalf("%d of %d acknowledged steps are there", n, acknowledged)
		}
	}
}

func TestKilledWhileChangingThePassword(t *testing.T) {
	dir := t.TempDir()
	v, err := Create(dir, "0", cheap)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range 8 {
		acknowledged := killAfter(t, 1+rand.IntN(50), "password", dir, fmt.Sprint(n))
		v, err := Open(dir, fmt.Sprint(acknowledged), cheap)
		if n = acknowledged; errors.Is(err, ErrWrongPassword) {
			n++
			v, err = Open(dir, fmt.Sprint(n), cheap)
		}
		if err != nil {
			t.Fatalf("neither %d nor the next password opens it: %v", acknowledged, err)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A copy of the files, taken at any moment between two commits, has all of
// them; with its WAL cut or damaged anywhere it has the first so many.
func TestTornWAL(t *testing.T) {
	v, dir := newVault(t)
	putConversation(t, v, 1)
	const steps = 20
	for range steps {
		if _, err := step(v, crashConversation); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{}
	for _, name := range []string{keyName, dbName, dbName + "-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	wal := files[dbName+"-wal"]
	restore := func(t interface{ Fatal(...any) }, wal []byte) string {
		dir, err := os.MkdirTemp("", "torn")
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(os.WriteFile(filepath.Join(dir, keyName), files[keyName], 0o600),
			os.WriteFile(filepath.Join(dir, dbName), files[dbName], 0o600),
			os.WriteFile(filepath.Join(dir, dbName+"-wal"), wal, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	copied := restore(t, wal)
	defer os.RemoveAll(copied)
	if n := checkSteps(t, copied, crashConversation); n != steps {
		t.Fatalf("%d of %d steps are in the copy", n, steps)
	}
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(wal)-1).Draw(t, "at")
		torn := append([]byte{}, wal[:at]...)
		if rapid.Bool().Draw(t, "damaged instead of cut") {
			torn = append([]byte{}, wal...)
			torn[at] ^= 0x10
		}
		dir := restore(t, torn)
		defer os.RemoveAll(dir)
		if n := checkSteps(t, dir, crashConversation); n >= steps && at < len(wal)-5000 {
			t.Errorf("%d steps in spite of the damage", n)
		}
	})
}
