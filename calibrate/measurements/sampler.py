"""Times what vLLM does with logits (Sampler.forward, apply_top_k_top_p, apply_all_penalties) and what a graph takes more when
replayed alone, with PyTorch on one GPU: OUT=FOLDER python3 sampler.py writes FOLDER/sampler.json, microseconds."""
import torch, json, os, statistics as S, time
OUT=os.environ['OUT']; dev='cuda'; torch.manual_seed(0)
def timed(f,reps=15):
    for _ in range(3): f()
    torch.cuda.synchronize(); out=[]
    for _ in range(reps):
        a=torch.cuda.Event(enable_timing=True);b=torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(6000000)  # 3 ms: launches run ahead of the device
        a.record(); f(); b.record(); b.synchronize(); out.append(a.elapsed_time(b)*1000)
    return S.median(out)
rows=[]
def bincounts(tokens,vocab,n):
    c=torch.zeros((n,vocab+1),dtype=torch.long,device=dev); c.scatter_add_(1,tokens,torch.ones_like(tokens)); c=c[:,:vocab]
    return c, c>0
for vocab in (32000,128256,152064,202048):
  for batch in (1,2,4,8,16,32,64,128,256):
    base=torch.randn(batch,vocab,device=dev,dtype=torch.bfloat16)*3
    temp=torch.full((batch,),0.7,device=dev); p=torch.full((batch,),0.9,device=dev); k=torch.full((batch,),20,device=dev,dtype=torch.int32)
    pen=torch.full((batch,),1.05,device=dev); zero=torch.zeros(batch,device=dev)
    prompt=torch.randint(0,vocab,(batch,750),device=dev); outt=torch.randint(0,vocab,(batch,125),device=dev)
    def to32(): return base.to(torch.float32)
    def greedy(): return to32().argmax(-1)
    def rand_tail(l):
        pr=l.softmax(-1,dtype=torch.float32); q=torch.empty_like(pr); q.exponential_(); return pr.div_(q).argmax(-1)
    def plain():
        l=to32(); l.div_(torch.where(temp<1e-5,1.0,temp).unsqueeze(1)); return rand_tail(l)
    def filt(l,kk,pp):
        ls,li=l.sort(dim=-1,descending=False)
        if kk is not None:
            m=ls.size(1)-kk.to(torch.long); m=ls.gather(1,m.unsqueeze(1)); m=ls<m; ls.masked_fill_(m,-float('inf'))
        if pp is not None:
            ps=ls.softmax(-1); c=torch.cumsum(ps,-1,out=ps); m=c<=1-pp.unsqueeze(1); m[:,-1]=False; ls.masked_fill_(m,-float('inf'))
        return l.scatter_(-1,li,ls)
    def topp():
        l=to32(); l.div_(torch.where(temp<1e-5,1.0,temp).unsqueeze(1)); return rand_tail(filt(l,None,p))
    def topkp():
        l=to32(); l.div_(torch.where(temp<1e-5,1.0,temp).unsqueeze(1)); return rand_tail(filt(l,k,p))
    def penal():
        l=to32(); _,pm=bincounts(prompt,vocab,batch); oc,om=bincounts(outt,vocab,batch)
        rp=pen.unsqueeze(1).repeat(1,vocab); l=l.clone()
        rp=torch.where(pm|om,rp,1.0); sc=torch.where(l>0,1.0/rp,rp); l*=sc
        l-=zero.unsqueeze(1)*oc; l-=zero.unsqueeze(1)*om; return l
    def sort_only(): return to32().sort(-1)
    r=dict(vocab=vocab,batch=batch)
    for name,f in dict(to32=to32,greedy=greedy,plain=plain,topp=topp,topkp=topkp,penalties=penal,sort=sort_only).items():
        r[name]=round(timed(f),2)
    rows.append(r); print(r,flush=True)
# what a graph of n small kernels costs when replayed alone, six in a row, as collectors do
def coll(n,size,reps=6):
    x=torch.randn(size,device=dev,dtype=torch.bfloat16); ys=[torch.empty_like(x) for _ in range(n)]
    def f():
        for y in ys: torch.mul(x,x,out=y)
    f(); torch.cuda.synchronize(); g=torch.cuda.CUDAGraph()
    with torch.cuda.graph(g): f()
    out=[]
    for _ in range(9):
        for _ in range(3): g.replay()
        torch.cuda.synchronize()
        a=torch.cuda.Event(enable_timing=True);b=torch.cuda.Event(enable_timing=True)
        a.record()
        for _ in range(reps): g.replay()
        b.record(); torch.cuda.synchronize(); out.append(a.elapsed_time(b)*1000/reps)
    g2=torch.cuda.CUDAGraph()
    with torch.cuda.graph(g2):
        for _ in range(50): f()
    for _ in range(3): g2.replay()
    torch.cuda.synchronize(); a=torch.cuda.Event(enable_timing=True);b=torch.cuda.Event(enable_timing=True)
    a.record()
    for _ in range(5): g2.replay()
    b.record(); torch.cuda.synchronize(); inside=a.elapsed_time(b)*1000/250
    return S.median(out),inside
gr=[]
for n in (1,2,3):
  for size in (1024,1<<20,1<<23,1<<25,1<<27):
    o,i=coll(n,size); gr.append(dict(kernels=n,size=size,replayed=round(o,2),inside=round(i,2),more=round(o-i,2))); print(gr[-1],flush=True)
json.dump(dict(sampler=rows,graphs=gr),open(OUT+'/sampler.json','w'))
