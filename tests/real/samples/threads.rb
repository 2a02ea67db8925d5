# SPDX-License-Identifier: MIT
# threads.rb - Ruby's threads: the lock that all share and its timer, queues,
# conditions, time-outs, interrupts, sockets, children.  The output is the
# same, whoever runs them.
require "socket"
require "timeout"
require "monitor"
require "open3"
require "digest"

THREADS = 100
Thread.report_on_exception = false

sum = 0
lock = Mutex.new
all = (0...THREADS).map do |i|
  Thread.new(i) do |n|
    Thread.current[:mine] = n
    sleep 0.001
    lock.synchronize { sum += n }
    Thread.current[:mine]
  end
end
puts "values #{all.sum(&:value)} #{sum}"

jobs, answers = Queue.new, SizedQueue.new(3)
workers = (0...THREADS).map do
  Thread.new { while (n = jobs.pop) do answers << n * n end }
end
1000.times { |n| jobs << n }
jobs.close
total = 0
1000.times { total += answers.pop }
workers.each(&:join)
puts "queues #{total}"

turn = 0
moved = ConditionVariable.new
order = []
(0...THREADS).to_a.reverse.map do |i|
  Thread.new do
    lock.synchronize do
      moved.wait(lock) until turn == i
      order << i
      turn += 1
      moved.broadcast
    end
  end
end.each(&:join)
puts "turns #{order == (0...THREADS).to_a} #{lock.synchronize { moved.wait(lock, 0.005) } ? 1 : 0}"

monitor = Monitor.new
count = 0
(0...THREADS).map { Thread.new { 20.times { monitor.synchronize { monitor.synchronize { count += 1 } } } } }.each(&:join)
puts "monitor #{count}"

server = TCPServer.new("127.0.0.1", 0)
port = server.addr[1]
serving = Thread.new do
  (0...THREADS).map do
    Thread.new(server.accept) do |s|
      while (line = s.gets) do s.puts line.upcase end
      s.close
    end
  end.each(&:join)
end
right = (0...THREADS).map do |i|
  Thread.new do
    TCPSocket.open("127.0.0.1", port) do |s|
      (0...10).count { |k| s.puts "line #{k} of #{i}"; s.gets == "LINE #{k} OF #{i}\n" }
    end
  end
end.sum(&:value)
serving.join
puts "sockets #{right}"

late = [-> { sleep }, -> { Queue.new.pop }, -> { IO.pipe[0].read }, -> { server.accept },
        -> { loop {} }, -> { Thread.stop }].count do |body|
  Timeout.timeout(0.05) { body.call }
  false
rescue Timeout::Error
  true
end
puts "timeouts #{late}"

raised = (0...20).map { Thread.new { begin; sleep; rescue => e; e.message; end } }
Thread.pass until raised.all?(&:stop?)
raised.each_with_index { |t, i| t.raise("number #{i}") }
puts "raised #{raised.map(&:value).last}"
dead = (0...20).map { Thread.new { sleep } }
Thread.pass until dead.all?(&:stop?)
dead.each(&:kill).each(&:join)
puts "killed #{dead.count(&:alive?)}"

out = (0...20).map do |i|
  Thread.new { Open3.capture2("cat; exit 3", stdin_data: "x" * (100_000 + i)).then { |o, s| [o.size, s.exitstatus] } }
end.map(&:value)
puts "children #{out.sum(&:first)} #{out.sum(&:last)} #{`echo sub`.chomp}"

seen = Queue.new
old = trap("USR1") { seen << 1 }
Process.kill("USR1", $$)
puts "signal #{Timeout.timeout(5) { seen.pop }}"
trap("USR1", old)

spun = (0...4).map { |i| Thread.new { (0...300_000).inject { |a, n| (a * 31 + n + i) % 1_000_003 } } }
puts "computed #{spun.map(&:value)}"

pid = fork { puts "child #{Thread.new { Thread.list.size }.value}"; $stdout.flush; exit!(4) }
Process.wait(pid)
puts "forked #{$?.exitstatus}"

puts "fiber #{Thread.new { f = Fiber.new { |x| y = Fiber.yield(x + 1); y * 2 }; [f.resume(1), f.resume(5)] }.value}"
puts "ractor #{(0...4).map { |i| Ractor.new(i) { |n| (1..1000).sum * n } }.sum(&:take)}" if defined?(Ractor)
begin
  q = Queue.new
  Thread.new { q.pop }.join
rescue Exception => e
  puts "deadlock #{e.class}"
end
