package server

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// killedDir, in the environment, makes this program the server that is killed.
const killedDir = "QPC_TEST_KILLED_SERVER"

// serveUntilKilled serves a data folder and prints the link. It does not
// return.
func serveUntilKilled(dir string) {
	debug.SetGCPercent(GCPercent)
	cfg := openConfig(dir)
	cfg.Limits.Connections, cfg.Limits.ConnectionsPerAddress = 1<<20, 1<<20
	s, err := New(cfg, nil)
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(s.Link(nil))
	select {}
}

// killable is a server in a process of its own.
type killable struct {
	t    testing.TB
	cmd  *exec.Cmd
	link string
}

func startKillable(t testing.TB, dir string) *killable {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k := &killable{t: t, cmd: exec.CommandContext(t.Context(), self)}
	k.cmd.Env = append(os.Environ(), killedDir+"="+dir)
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "qpc://") {
		t.Fatalf("the server said %q, %v", line, err)
	}
	k.link = strings.TrimSpace(line)
	return k
}

func (k *killable) kill() {
	k.t.Helper()
	if err := k.cmd.Process.Kill(); err != nil {
		k.t.Error(err)
	}
	_ = k.cmd.Wait() // it was killed
}

// A server that is killed in the middle of an upload has every chunk that it
// acknowledged, and the upload goes on.
func TestBlobServerKilled(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	f.shutdown()
	const chunks = 24
	u := newUpload(chunks*mib - 5)
	acknowledged := make(map[int]bool)
	for round := 0; ; round++ {
		if round > chunks {
			t.Fatal("the upload does not come to an end")
		}
		k := startKillable(t, f.cfg.DataDir)
		c := dialLink(t, k.link)
		if err := alice.authenticate(c); err != nil {
			t.Fatal(err)
		}
		missing := u.create(c)
		for _, i := range missing {
			if acknowledged[i] {
				t.Errorf("chunk %d was acknowledged and is lost", i)
			}
		}
		if len(missing) == 0 {
			u.run(c).wantDownload(dialLink(t, k.link))
			k.kill()
			break
		}
		u.sendUntilKilled(c, k, missing, acknowledged)
	}
	f.open() // for the clean-up
	u.wantDownload(f.dial())
	if n := len(f.blobFiles()); n < chunks || n > 3*chunks { // besides those half written
		t.Errorf("%d files", n)
	}
}

// sendUntilKilled sends chunks, four at a time, and kills the server when it
// has acknowledged some.
func (u *upload) sendUntilKilled(c *conn, k *killable, missing []int, acknowledged map[int]bool) {
	work := make(chan int, len(missing))
	for _, i := range missing {
		work <- i
	}
	close(work)
	var mu sync.Mutex
	left := 1 + rand.IntN(6)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range work {
				if _, err := call[qpcv1.UploadChunkResponse](c, u.chunkRequest(i)); err != nil {
					return
				}
				mu.Lock()
				acknowledged[i] = true
				if left--; left == 0 {
					k.kill()
					c.Close() // nobody answers any more
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if left > 0 {
		k.kill()
		c.Close()
	}
}
