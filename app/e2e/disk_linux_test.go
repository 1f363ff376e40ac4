package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"quicprochat/core/client"
)

// The server's disk fills up. Messages wait at their sender, who is told of no
// failure, and arrive when there is space again.
func TestServerDiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=16777216"); err != nil {
		t.Skipf("NOT TESTED: this user may not mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	w := newWorldAt(t, t.TempDir(), filepath.Join(disk, "server"))
	alice, bob := w.register("alice"), w.register("bob")
	chat, err := alice.StartDirect(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	alice.send(chat.ID, "before")
	bob.conversation("alice")
	bob.awaitTexts(chat.ID, 1)
	filler := filepath.Join(disk, "filler")
	fillDisk(t, filler)
	big := strings.Repeat("x", 60<<10)
	sent := 1
	for deadline := time.Now().Add(patience); w.figure("qpc_trouble_failures_total", "store") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the disk does not fill up")
		}
		if got := len(texts(bob.messages(chat.ID))); got == sent { // it still fits
			alice.send(chat.ID, big)
			sent++
		}
	}
	alice.send(chat.ID, "after")
	sent++
	if got := len(texts(bob.messages(chat.ID))); got == sent {
		t.Error("everything arrived")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	got := bob.awaitTexts(chat.ID, sent)
	if got[0] != "before" || got[sent-1] != "after" {
		t.Error("in another order")
	}
	alice.awaitTexts(chat.ID, sent)
	for _, m := range alice.messages(chat.ID) {
		if m.State == client.StateFailed {
			t.Error("a message was given up")
		}
	}
}

// fillDisk writes until nothing more fits.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
	}
}
