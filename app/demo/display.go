package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// display is where the windows open: the person's own, or an Xvfb that the
// demo started.
type display struct {
	name string
	xvfb *exec.Cmd
}

// openDisplay uses the display there is, and starts Xvfb where there is none.
func openDisplay(dir string) (d *display, headless bool, err error) {
	if runtime.GOOS != "linux" || os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "" {
		return &display{}, false, nil
	}
	path, err := exec.LookPath("Xvfb")
	if err != nil {
		return nil, true, fmt.Errorf("there is no display and no Xvfb: install the package xvfb, or run make demo, which does it")
	}
	log, err := os.Create(filepath.Join(dir, "xvfb.log"))
	if err != nil {
		return nil, true, err
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, true, err
	}
	defer r.Close()
	// Xvfb picks a free display and writes its number to descriptor 3.
	cmd := exec.Command(path, "-displayfd", "3", "-screen", "0", "1280x800x24",
		"+extension", "GLX", "+render", "-noreset", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, true, fmt.Errorf("starting Xvfb: %w", err)
	}
	w.Close()
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		said, _ := os.ReadFile(log.Name())
		return nil, true, fmt.Errorf("no display, and Xvfb did not start: %s", strings.TrimSpace(string(said)))
	}
	return &display{name: ":" + strings.TrimSpace(number), xvfb: cmd}, true, nil
}

// env is the environment for a program with a window.
func (d *display) env() []string {
	env := os.Environ()
	if d.name != "" {
		env = append(env, "DISPLAY="+d.name, "LIBGL_ALWAYS_SOFTWARE=1")
	}
	return env
}

func (d *display) close() {
	if d.xvfb != nil {
		d.xvfb.Process.Kill()
		d.xvfb.Wait()
	}
}
