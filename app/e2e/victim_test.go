package e2e

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"quicprochat/core/client"
)

// victimEnv makes the test binary run as a victim: a client in a process of
// its own, so that a test can end it with SIGKILL. Its value is the profile.
const victimEnv = "QPC_E2E_VICTIM"

// order is what a test tells a victim, answer what the victim replies.
type order struct {
	Do           string `json:"do"` // "sync", "send" a text, "texts": wait until there are Count
	Conversation string `json:"conversation,omitempty"`
	Text         string `json:"text,omitempty"`
	Count        int    `json:"count,omitempty"`
}

type answer struct {
	Texts []string `json:"texts,omitempty"`
	Err   string   `json:"err,omitempty"`
}

// runVictim opens the profile and obeys orders until its input ends.
func runVictim(in io.Reader, out io.Writer) int {
	ctx := context.Background()
	c, err := client.Open(ctx, client.Options{Dir: os.Getenv(victimEnv), Cost: client.CheapForTests()}, password)
	if err != nil {
		fmt.Fprintln(os.Stderr, "victim:", err)
		return 1
	}
	defer c.Close()
	enc := json.NewEncoder(out)
	for dec := json.NewDecoder(in); ; {
		var o order
		if err := dec.Decode(&o); err != nil {
			return 0
		}
		var a answer
		if err := obey(ctx, c, o, &a); err != nil {
			a.Err = err.Error()
		}
		if err := enc.Encode(a); err != nil {
			return 1
		}
	}
}

func obey(ctx context.Context, c *client.Client, o order, a *answer) error {
	var id client.ConversationID
	if raw, err := hex.DecodeString(o.Conversation); err != nil || copy(id[:], raw) != len(id) && o.Conversation != "" {
		return fmt.Errorf("bad conversation id")
	}
	switch o.Do {
	case "sync":
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return c.Sync(ctx)
	case "send":
		_, err := c.Send(ctx, id, o.Text)
		return err
	case "texts":
		return awaitCount(ctx, c, id, o.Count, a)
	default:
		return fmt.Errorf("unknown order %q", o.Do)
	}
}

// awaitCount fills in the texts of a conversation when there are count, all
// of them placed by the server.
func awaitCount(ctx context.Context, c *client.Client, id client.ConversationID, count int, a *answer) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	events, unsubscribe := c.Subscribe()
	defer unsubscribe()
	for {
		messages, err := allMessages(ctx, c, id)
		if err != nil {
			return err
		}
		if a.Texts = texts(messages); len(a.Texts) >= count && settled(messages) {
			return nil
		}
		select {
		case <-events:
		case <-ctx.Done():
			return fmt.Errorf("%d texts, not %d", len(a.Texts), count)
		}
	}
}

// victim is the test's end of such a process.
type victim struct {
	t   testing.TB
	dir string
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// startVictim opens a profile, which must be closed here, in another process.
func startVictim(t testing.TB, dir string) *victim {
	t.Helper()
	v := &victim{t: t, dir: dir}
	v.start()
	t.Cleanup(v.kill)
	return v
}

func (v *victim) start() {
	v.t.Helper()
	v.cmd = exec.Command(os.Args[0])
	v.cmd.Env = append(os.Environ(), victimEnv+"="+v.dir)
	v.cmd.Stderr = os.Stderr
	in, err := v.cmd.StdinPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.in, v.out = in, json.NewDecoder(bufio.NewReader(out))
}

// kill ends the process as a power cut would: it gets no word of it.
func (v *victim) kill() {
	if v.cmd == nil {
		return
	}
	v.cmd.Process.Kill()
	v.cmd.Wait()
	v.cmd = nil
}

func (v *victim) do(o order) answer {
	v.t.Helper()
	if err := json.NewEncoder(v.in).Encode(o); err != nil {
		v.t.Fatal("victim:", err)
	}
	var a answer
	if err := v.out.Decode(&a); err != nil {
		v.t.Fatal("victim:", err)
	}
	if a.Err != "" {
		v.t.Fatalf("victim: %s: %s", o.Do, a.Err)
	}
	return a
}
