package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"quicprochat/server/storage"
)

// killedPath, in the environment, makes this program the one that is killed.
const killedPath = "QPC_TEST_KILLED_STORE"

// postUntilKilled posts from several callers and prints each item id with its
// seq when it was acknowledged. It does not return.
func postUntilKilled(path string) {
	s, err := Open(context.Background(), path, storage.DefaultLimits())
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	for range 8 {
		go func() {
			for {
				var item storage.ItemID
				rand.Read(item[:])
				posted, err := s.Post(context.Background(), newPost(storage.ChannelID{3}, item))
				if err != nil {
					fmt.Println("post:", err)
					os.Exit(1)
				}
				fmt.Printf("%x %d\n", item[:], posted.ChannelSeq)
			}
		}()
	}
	select {}
}

// Whatever was acknowledged before the process was killed is there afterwards.
func TestKilled(t *testing.T) {
	path := newPath(t)
	s := openAt(t, path, storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	must(t, s.Close())

	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), killedPath+"="+path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var acknowledged []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		acknowledged = append(acknowledged, lines.Text())
		if len(acknowledged) == 500 {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process was not killed")
	}
	if len(acknowledged) < 500 {
		t.Fatalf("the process ended by itself: %q", acknowledged)
	}

	s = openAt(t, path, storage.DefaultLimits())
	var health string
	must(t, s.reader.get(t.Context(), into(&health), `PRAGMA integrity_check`))
	if health != "ok" {
		t.Fatal(health)
	}
	items, _, err := s.FetchItems(t.Context(), d.Queue, 0, 1<<20, 1<<30)
	must(t, err)
	for _, line := range acknowledged {
		var id string
		var seq uint64
		if n, err := fmt.Sscanf(line, "%s %d", &id, &seq); n != 2 || err != nil || len(id) != 32 {
			continue // cut off by the kill
		}
		want, err := hex.DecodeString(id)
		must(t, err)
		if seq > uint64(len(items)) || !bytes.Equal(items[seq-1].Sealed, want) {
			t.Fatalf("item %d was lost", seq)
		}
		posted, err := s.Post(t.Context(), newPost(channel, storage.ItemID(want)))
		if err != nil || !posted.Duplicate || posted.ChannelSeq != seq {
			t.Fatalf("item %d again: %+v, %v", seq, posted, err)
		}
	}
}
