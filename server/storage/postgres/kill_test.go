package postgres

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"quicprochat/server/storage"
)

// killedURL, in the environment, makes this program one that is killed.
const killedURL = "QPC_TEST_KILLED_STORE_URL"

// postUntilKilled posts from several callers and prints each item id with its
// seq when it was acknowledged. It does not return.
func postUntilKilled(url string) {
	s, err := Open(context.Background(), Options{URL: storage.URL(url), Limits: storage.DefaultLimits()})
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

// Three server processes share a database; each is killed while it posts.
// What they acknowledged is there, once, and the others are not held up by
// what a dead one had locked.
func TestKilled(t *testing.T) {
	u := newURL(t)
	s := openAt(t, u, storage.DefaultLimits())
	d, channel := oneQueue(t, s)
	self, err := os.Executable()
	must(t, err)
	told := &acknowledged{seqs: make(map[storage.ItemID]uint64)}
	lines := make(chan string)
	var processes []*exec.Cmd
	for range 3 {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), killedURL+"="+u)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		processes = append(processes, cmd)
		go func() {
			for scanner := bufio.NewScanner(out); scanner.Scan(); {
				lines <- scanner.Text()
			}
			lines <- "" // ended
		}()
	}
	for ended := 0; ended < len(processes); {
		line := <-lines
		if line == "" {
			ended++
			continue
		}
		told.note(t, line)
		if n := len(told.seqs); n%200 == 0 && n/200 <= len(processes) {
			must(t, processes[n/200-1].Process.Kill())
		}
	}
	for _, cmd := range processes {
		if err := cmd.Wait(); err == nil {
			t.Error("a process was not killed")
		}
	}
	if len(told.seqs) < 600 {
		t.Fatalf("only %d posts", len(told.seqs))
	}
	told.check(t, s, d.Queue)
	for item, seq := range told.seqs {
		posted, err := s.Post(t.Context(), newPost(channel, item))
		if err != nil || !posted.Duplicate || posted.ChannelSeq != seq {
			t.Fatalf("item %d again: %+v, %v", seq, posted, err)
		}
	}
}

// note takes a line that a process printed.
func (a *acknowledged) note(t *testing.T, line string) {
	t.Helper()
	var id string
	var seq uint64
	if n, err := fmt.Sscanf(line, "%s %d", &id, &seq); n != 2 || err != nil || len(id) != 32 {
		if len(line) > 0 && (line[0] == 'p' || line[0] == 'o') {
			t.Fatal(line)
		}
		return // cut off by the kill
	}
	item, err := hex.DecodeString(id)
	must(t, err)
	a.add(storage.ItemID(item), seq)
}
