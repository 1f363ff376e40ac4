package drive_test

import (
	"bufio"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
	"quicprochat/ui/drive"
	"quicprochat/ui/internal/fake"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// script is a driven app over fakes. The UI goroutine is one of its own.
type script struct {
	t       *testing.T
	session *fake.Session
	sdk     *fake.SDK
	host    *fake.Host
	themes  chan string
	in      io.Writer
	out     *bufio.Scanner
	ended   chan error
	quit    chan struct{}
}

func start(t *testing.T, profile bool) *script {
	t.Helper()
	s := &script{
		t: t, session: fake.NewSession("dana", noon), host: &fake.Host{},
		themes: make(chan string, 4), ended: make(chan error, 1), quit: make(chan struct{}),
	}
	s.sdk = &fake.SDK{Session: s.session, Profile: profile, Info: client.ServerInfo{Name: "Garden"}}
	ui := make(chan func(), 1024)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case f := <-ui:
				f()
			case <-stop:
				return
			}
		}
	}()
	app := controller.NewApp(controller.NewLoop(func(f func()) { ui <- f }), s.sdk, s.host, controller.LoadPreferences(t.TempDir()))
	ui <- func() {
		app.OnTheme = func(name string) { s.themes <- name }
		app.Start()
	}
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	s.in, s.out = inWrite, bufio.NewScanner(outRead)
	d := &drive.Driver{
		App: app,
		Capture: func(done func(image.Image)) {
			img := image.NewRGBA(image.Rect(0, 0, 2, 2))
			img.Set(1, 1, color.White)
			done(img)
		},
		Quit: func() { close(s.quit) },
	}
	go func() { s.ended <- d.Run(inRead, outWrite); outWrite.Close() }()
	t.Cleanup(func() {
		inWrite.Close()
		<-s.ended
		close(stop)
	})
	return s
}

func (s *script) line(line string) map[string]any {
	s.t.Helper()
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		s.t.Fatal(err)
	}
	if !s.out.Scan() {
		s.t.Fatalf("%s: no answer", line)
	}
	var reply map[string]any
	if err := json.Unmarshal(s.out.Bytes(), &reply); err != nil {
		s.t.Fatalf("%s: %v in %q", line, err, s.out.Text())
	}
	return reply
}

// ok gives a command that has to succeed.
func (s *script) ok(line string) map[string]any {
	s.t.Helper()
	reply := s.line(line)
	if reply["ok"] != true {
		s.t.Fatalf("%s: %v", line, reply["error"])
	}
	return reply
}

// fails gives a command that has to fail with a sentence that contains want.
func (s *script) fails(line, want string) {
	s.t.Helper()
	reply := s.line(line)
	if msg, _ := reply["error"].(string); reply["ok"] != false || !strings.Contains(msg, want) || msg == "" {
		s.t.Errorf("%s: %v, want an error with %q", line, reply, want)
	}
}

func TestRegisterAndTalk(t *testing.T) {
	s := start(t, false)
	if got := s.ok(`{"cmd":"state"}`)["screen"]; got != "welcome" {
		t.Errorf("first screen %v", got)
	}
	s.fails(`{"cmd":"register","link":"nonsense","name":"erik","password":"p"}`, "qpc://")
	s.sdk.Fail("Register", client.ErrNameTaken)
	link := fake.Link(1)
	s.fails(`{"cmd":"register","link":"`+link+`","name":"erik","password":"p"}`, client.UserMessage(client.ErrNameTaken))
	s.sdk.Fail("Register", nil)
	s.ok(`{"cmd":"register","link":"` + link + `","name":"erik","password":"p"}`)
	s.ok(`{"cmd":"wait_online"}`)
	s.fails(`{"cmd":"send","text":"to nobody"}`, "no conversation is open")

	s.session.Fail("StartDirect", client.ErrUnknownUser)
	s.fails(`{"cmd":"start_direct","name":"bob"}`, client.UserMessage(client.ErrUnknownUser))
	s.session.Fail("StartDirect", nil)
	s.ok(`{"cmd":"start_direct","name":"bob"}`)
	s.ok(`{"cmd":"type","text":"a draft"}`)
	if got := s.ok(`{"cmd":"state"}`); got["draft"] != "a draft" || got["open"] != "bob" || got["me"] != "erik" {
		t.Errorf("state %v", got)
	}
	s.ok(`{"cmd":"send","text":"hello"}`)
	s.ok(`{"cmd":"wait_message","text":"hello","conversation":"bob","state":"waiting"}`)
	s.session.Fail("Send", client.ErrTextInvalid)
	s.fails(`{"cmd":"send","text":"bad"}`, client.UserMessage(client.ErrTextInvalid))
	s.session.Fail("Send", nil)
	s.ok(`{"cmd":"send","text":"good"}`)
}

func TestLogIn(t *testing.T) {
	s := start(t, false)
	s.sdk.Fail("Login", client.ErrWrongPassword)
	s.fails(`{"cmd":"login","link":"`+fake.Link(1)+`","name":"erik","password":"p"}`, client.UserMessage(client.ErrWrongPassword))
	s.sdk.Fail("Login", nil)
	s.ok(`{"cmd":"login","link":"` + fake.Link(1) + `","name":"erik","password":"p"}`)
	s.fails(`{"cmd":"login","link":"`+fake.Link(1)+`","name":"erik","password":"p"}`, "the screen is main")
}

func TestUnlockAndWait(t *testing.T) {
	s := start(t, true)
	s.fails(`{"cmd":"open","title":"bob"}`, "not on the screen")
	s.sdk.Fail("Open", client.ErrVaultPassword)
	s.fails(`{"cmd":"unlock","password":"p"}`, client.UserMessage(client.ErrVaultPassword))
	s.sdk.Fail("Open", nil)
	old := s.session.AddConversation(client.Conversation{Kind: client.KindDirect, Title: "bob"}, "bob")
	s.session.AddMessage(old, client.Message{SenderName: "bob", Text: "from before"})
	s.ok(`{"cmd":"unlock","password":"p"}`)
	if got := s.ok(`{"cmd":"wait_message","text":"from before"}`); got["from"] != "bob" {
		t.Errorf("got %v", got)
	}
	s.ok(`{"cmd":"open","title":"BOB"}`)

	// What is waited for may come later.
	done := make(chan struct{})
	go func() {
		defer close(done)
		id := s.session.AddConversation(client.Conversation{Kind: client.KindGroup, Title: "Choir"}, "bob")
		s.session.AddMessage(id, client.Message{SenderName: "bob", Text: "la la"})
	}()
	s.ok(`{"cmd":"wait_conversation","title":"Choir"}`)
	s.ok(`{"cmd":"wait_message","text":"la la","conversation":"Choir","state":"received"}`)
	<-done
	s.fails(`{"cmd":"wait_message","text":"never","timeout":0.05}`, "timed out")
	s.fails(`{"cmd":"wait_conversation","title":"never","timeout":0.05}`, "timed out")
	s.fails(`{"cmd":"wait_message","text":"la la","state":"sideways"}`, "no message state")
	s.ok(`{"cmd":"state"}`) // a wait in vain does no harm
}

func TestGroup(t *testing.T) {
	s := start(t, true)
	s.ok(`{"cmd":"unlock","password":"p"}`)
	s.fails(`{"cmd":"create_group","title":"","names":["bob"]}`, "name")
	s.ok(`{"cmd":"create_group","title":"Choir","names":["bob","erik"]}`)
	if got := s.ok(`{"cmd":"members"}`)["members"].([]any); len(got) != 3 {
		t.Errorf("members %v", got)
	}
	s.ok(`{"cmd":"add","names":["frida"]}`)
	s.ok(`{"cmd":"wait_members","count":4}`)
	s.fails(`{"cmd":"remove","name":"nobody"}`, "not a member")
	s.ok(`{"cmd":"remove","name":"bob"}`)
	s.ok(`{"cmd":"wait_members","count":3}`)
	s.session.Fail("Rename", client.ErrNotAllowed)
	s.fails(`{"cmd":"rename","title":"Band"}`, client.UserMessage(client.ErrNotAllowed))
	s.session.Fail("Rename", nil)
	s.ok(`{"cmd":"rename","title":"Band"}`)
	s.ok(`{"cmd":"wait_conversation","title":"Band"}`)
	s.ok(`{"cmd":"leave"}`)
}

func TestHost(t *testing.T) {
	s := start(t, false)
	first, _ := s.ok(`{"cmd":"host"}`)["link"].(string)
	second, _ := s.ok(`{"cmd":"host"}`)["link"].(string)
	if !strings.HasPrefix(first, "qpc://") || first == second {
		t.Errorf("links %q and %q", first, second)
	}
	s.host.Err = fake.ErrHost
	s.fails(`{"cmd":"host"}`, "")
}

func TestScreenshotThemeAndQuit(t *testing.T) {
	s := start(t, false)
	path := filepath.Join(t.TempDir(), "new", "shot.png")
	s.ok(`{"cmd":"screenshot","path":"` + path + `"}`)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img, err := png.Decode(f); err != nil || img.Bounds().Dx() != 2 {
		t.Errorf("picture: %v", err)
	}
	s.fails(`{"cmd":"screenshot"}`, "path")
	s.ok(`{"cmd":"theme","theme":"dark"}`)
	if got := <-s.themes; got != "dark" {
		t.Errorf("theme %q", got)
	}
	s.fails(`{"cmd":"theme","theme":"pink"}`, "no theme")
	s.ok(`{"cmd":"quit"}`)
	<-s.quit
}

func TestGarbageIsAnsweredAndSurvived(t *testing.T) {
	s := start(t, false)
	s.fails(`{"cmd":`, "not a command")
	s.fails(`[1]`, "not a command")
	s.fails(`{"cmd":"dance"}`, "unknown command")
	s.fails(`{}`, "unknown command")
	s.ok(`{"cmd":"state"}`)
}

func TestAccountIsKeptAndDeleted(t *testing.T) {
	s := start(t, true)
	s.fails(`{"cmd":"change_password","password":"x","new_password":"y"}`, "not on the screen")
	s.ok(`{"cmd":"unlock","password":"p"}`)
	s.fails(`{"cmd":"change_password","password":"a guess","new_password":"another fine passphrase"}`, client.UserMessage(client.ErrPresentPassword))
	s.ok(`{"cmd":"change_password","password":"` + fake.Password + `","new_password":"another fine passphrase"}`)
	if got := s.ok(`{"cmd":"recovery_code","password":"another fine passphrase"}`)["code"]; got != fake.RecoveryCode {
		t.Errorf("code %v", got)
	}
	s.fails(`{"cmd":"delete_account","password":"`+fake.Password+`"}`, client.UserMessage(client.ErrPresentPassword))
	s.ok(`{"cmd":"delete_account","password":"another fine passphrase"}`)
	if got := s.ok(`{"cmd":"state"}`)["screen"]; got != "welcome" {
		t.Errorf("screen %v", got)
	}
}

func TestRecover(t *testing.T) {
	s := start(t, false)
	link := fake.Link(1)
	s.fails(`{"cmd":"recover","link":"`+link+`","name":"erik","code":"nonsense","password":"p"}`, client.UserMessage(client.ErrRecoveryCodeInvalid))
	if got := s.ok(`{"cmd":"login","link":"` + link + `","name":"erik","password":"p"}`); got["ok"] != true {
		t.Errorf("no way back: %v", got)
	}
	s = start(t, false)
	reply := s.ok(`{"cmd":"recover","link":"` + link + `","name":"erik","code":"` + fake.RecoveryCode + `","password":"another fine passphrase"}`)
	if reply["code"] != fake.NextCode {
		t.Errorf("next code %v", reply["code"])
	}
}

func TestListIsArrangedAndMessagesReported(t *testing.T) {
	s := start(t, true)
	s.ok(`{"cmd":"unlock","password":"p"}`)
	id := s.session.AddConversation(client.Conversation{Kind: client.KindDirect, Title: "bob"}, "bob")
	s.session.AddMessage(id, client.Message{SenderName: "bob", Text: "buy watches"})
	s.ok(`{"cmd":"open","title":"bob"}`)
	s.ok(`{"cmd":"wait_message","text":"buy watches"}`)
	for _, c := range []string{"pin", "mute", "unpin", "unmute"} {
		s.ok(`{"cmd":"` + c + `","title":"bob"}`)
	}
	s.fails(`{"cmd":"pin","title":"nobody"}`, "no conversation")
	s.fails(`{"cmd":"unblock","name":"bob"}`, "not blocked")
	s.ok(`{"cmd":"block","name":"bob"}`)
	s.ok(`{"cmd":"unblock","name":"bob"}`)
	s.fails(`{"cmd":"report","text":"buy watches","category":"rudeness"}`, "no category")
	s.fails(`{"cmd":"report","text":"never written","category":"spam"}`, "nobody else")
	s.ok(`{"cmd":"report","text":"buy watches","category":"spam","note":"again"}`)
}
