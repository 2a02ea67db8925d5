// SPDX-License-Identifier: MIT

// cgo.go - goroutines, C that they call and that calls back, threads that C
// starts.  The output is the same, whoever runs them.
package main

/*
#cgo LDFLAGS: -pthread
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

extern int callback(int);

static int slow(int n)
{
	usleep(1000);
	return n * 2;
}

static int calls_back(int n)
{
	return callback(n) + 1;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long sum;

static void *thread(void *arg)
{
	int k;

	for (k = 0; k < 100; k++) {
		pthread_mutex_lock(&lock);
		sum += callback((int)(intptr_t)arg);
		pthread_mutex_unlock(&lock);
	}
	usleep(1000);
	return arg;
}

static long threads(int n)
{
	pthread_t th[64];
	int i;

	for (i = 0; i < n; i++)
		pthread_create(&th[i], NULL, thread, (void *)(intptr_t)i);
	for (i = 0; i < n; i++)
		pthread_join(th[i], NULL);
	return sum;
}
*/
import "C"

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const many = 100

//export callback
func callback(n C.int) C.int {
	runtime.Gosched()
	return n + 1
}

func each(n int, f func(i int) int) (sum int) {
	var all sync.WaitGroup
	var lock sync.Mutex

	for i := 0; i < n; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			r := f(i)
			lock.Lock()
			sum += r
			lock.Unlock()
		}(i)
	}
	all.Wait()
	return
}

func sockets() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintln(c, strings.ToUpper(in.Text()))
				}
			}()
		}
	}()
	return each(many, func(i int) (right int) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			panic(err)
		}
		defer c.Close()
		in := bufio.NewScanner(c)
		for k := 0; k < 10; k++ {
			fmt.Fprintf(c, "%d of %d\n", k, i)
			if in.Scan() && in.Text() == fmt.Sprintf("%d OF %d", k, i) {
				right++
			}
		}
		return
	})
}

func web() int {
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	server := &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Write(body)
		})}
	go server.Serve(l)
	defer server.Close()
	return each(20, func(i int) int {
		sent := bytes.Repeat([]byte{byte(i)}, 10000+i)
		r, err := http.Post("http://"+l.Addr().String(), "x/y",
			bytes.NewReader(sent))
		if err != nil {
			panic(err)
		}
		defer r.Body.Close()
		got, _ := io.ReadAll(r.Body)
		if !bytes.Equal(got, sent) {
			panic("not what was sent")
		}
		return len(got)
	})
}

func main() {
	fmt.Println("calls", each(many, func(i int) int {
		return int(C.slow(C.int(i)))
	}), each(many, func(i int) int {
		return int(C.calls_back(C.int(i)))
	}))
	fmt.Println("threads", C.threads(20))
	fmt.Println("sockets", sockets())
	fmt.Println("web", web())
	addresses, err := (&net.Resolver{PreferGo: false}).LookupHost(
		context.Background(), "localhost")
	fmt.Println("names", len(addresses) > 0, err)
	fmt.Println("children", each(10, func(i int) int {
		out, err := exec.Command("echo", strings.Repeat("x", i)).Output()
		if err != nil {
			panic(err)
		}
		return len(out)
	}))
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println("signal", <-heard)
	stop := make(chan bool)
	spun := 0
	go func() {
		for { // preempted by a signal
			select {
			case <-stop:
				stop <- true
				return
			default:
				spun++
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	runtime.GC()
	stop <- true
	<-stop
	fmt.Println("spun", spun > 0)
	func() {
		defer func() { fmt.Println("recovered", recover() != nil) }()
		var p *int
		*p = 1
	}()
	os.Exit(3)
}
